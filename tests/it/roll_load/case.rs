//! What is migrated: every column's value is made of one number, its seed, in the old version and in the new one, so
//! that a ledger of seeds says what both must show.

/// Made once a cluster, and copied.
pub(super) const TABLES: &str = "
    create table public.city (id int primary key);
    insert into public.city select generate_series(1001, 1050);
    create table public.account (
        id int primary key,
        hits bigint not null default 0,
        number text not null,
        maybe text,
        minus int not null,
        word text not null,
        town int,
        sure text not null,
        i int not null,
        j bigint not null,
        k bigint not null constraint k_is_positive check (k > 0),
        l int not null,
        m bigint not null,
        gone text not null default 'nothing',
        o text not null,
        d text default 'old',
        constraint l_m unique (l, m));
    insert into public.account
        select n, n, n::text, case when n % 5 = 0 then null else 'm' || n end, -n - 1, 'w' || n, 1 + n % 50,
            case when n % 5 = 0 then '-' else 's' || n end, n % 100, n, n + 1, n % 100, n, 'g' || n, 'o' || n, 'd' || n
        from generate_series(1, 100000) n;
    create index account_maybe on public.account (maybe, hits desc) where hits >= 0;
    create index account_word on public.account (lower(word) text_pattern_ops, i);
    create table public.child (id int primary key, account_id int references public.account on delete cascade);
    insert into public.child select n, n * 7 from generate_series(1, 1000) n;
    analyze public.account;";

pub(super) const ROWS: i64 = 100_000;

/// The seed of what the server itself puts into a column of the old version for a row of the new one.
pub(super) const BY_DOWN: i64 = -1;

/// A column. In the expressions `{n}` stands for its seed.
#[derive(Clone)]
pub(super) struct Field {
    pub(super) old: Option<Side>,
    pub(super) new: Option<Side>,
    /// Only in the new version: a write of this column of the old version is a write of both.
    pub(super) follows: Option<&'static str>,
}

#[derive(Clone)]
pub(super) struct Side {
    pub(super) column: &'static str,
    pub(super) value: &'static str,
}

impl Field {
    pub(super) fn side(&self, is_new: bool) -> Option<&Side> {
        if is_new { self.new.as_ref() } else { self.old.as_ref() }
    }
}

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) migration: &'static str,
    /// The new version's name of the table.
    pub(super) table: &'static str,
    pub(super) fields: Vec<Field>,
}

fn both(column: &'static str, old: &'static str, new: &'static str) -> Field {
    let side = |value| Some(Side { column, value });
    Field { old: side(old), new: side(new), follows: None }
}

const UNCHANGED: [(&str, &str); 15] = [
    // First: the column that no migration touches.
    ("hits", "{n}"),
    ("number", "{n}::text"),
    ("maybe", "case when {n} % 5 = 0 then null else 'm' || {n} end"),
    ("minus", "-{n} - 1"),
    ("word", "'w' || {n}"),
    ("town", "1 + {n} % 50"),
    ("sure", "case when {n} % 5 = 0 then '-' else 's' || {n} end"),
    ("i", "{n} % 100"),
    ("j", "{n}"),
    ("k", "{n} + 1"),
    ("l", "{n} % 100"),
    ("m", "{n}"),
    ("gone", "'g' || {n}"),
    ("o", "'o' || {n}"),
    ("d", "'d' || {n}"),
];

/// All columns, of which the migration changes these; a further one is new.
fn case(name: &'static str, migration: &'static str, changed: Vec<Field>) -> Case {
    let is_changed = |column: &str| {
        changed.iter().any(|field| field.old.as_ref().is_some_and(|side| side.column == column))
    };
    let kept = UNCHANGED.iter().filter(|(column, _)| !is_changed(column));
    let mut fields = kept.map(|(column, value)| both(column, value, value)).collect::<Vec<_>>();
    fields.extend(changed);
    Case { name, migration, table: "account", fields }
}

pub(super) fn add_column() -> Case {
    let added = Field {
        old: None,
        new: Some(Side { column: "shout", value: "'S' || {n}" }),
        follows: Some("number"),
    };
    case(
        "add_column",
        "operations:
  - add_column:
      table: account
      column: {name: shout, type: text, nullable: false, unique: true, check: {name: shouts, constraint: shout ~ '^S'}}
      up: \"'S' || number\"
  - add_column: {table: account, column: {name: plain, type: int, nullable: false, default: '7'}}
  - add_column: {table: account, column: {name: empty, type: text, nullable: true}}
",
        vec![added],
    )
}

pub(super) fn alter_values() -> Case {
    case(
        "alter_values",
        "operations:
  - alter_column: {table: account, column: number, type: bigint, up: 'number::bigint', down: 'number::text'}
  - alter_column: {table: account, column: maybe, nullable: false, up: \"coalesce(maybe, '-')\", down: \"nullif(maybe, '-')\"}
  - alter_column: {table: account, column: sure, nullable: true, up: \"nullif(sure, '-')\", down: \"coalesce(sure, '-')\"}
  - alter_column: {table: account, column: d, default: \"'new'\", comment: changed}
",
        vec![
            both("number", "{n}::text", "{n}"),
            both(
                "maybe",
                "case when {n} % 5 = 0 then null else 'm' || {n} end",
                "case when {n} % 5 = 0 then '-' else 'm' || {n} end",
            ),
            both(
                "sure",
                "case when {n} % 5 = 0 then '-' else 's' || {n} end",
                "case when {n} % 5 = 0 then null else 's' || {n} end",
            ),
        ],
    )
}

pub(super) fn alter_constraints() -> Case {
    case(
        "alter_constraints",
        "operations:
  - alter_column: {table: account, column: minus, check: {name: plus, constraint: minus > 0}, up: -minus, down: -minus}
  - alter_column: {table: account, column: word, unique: {name: one_word}, up: upper(word), down: lower(word)}
  - alter_column:
      table: account
      column: town
      references: {name: in_city, table: city, column: id}
      up: town + 1000
      down: town - 1000
",
        vec![
            both("minus", "-{n} - 1", "{n} + 1"),
            both("word", "'w' || {n}", "'W' || {n}"),
            both("town", "1 + {n} % 50", "1001 + {n} % 50"),
        ],
    )
}

pub(super) fn several_on_one() -> Case {
    case(
        "several_on_one",
        "operations:
  - alter_column:
      table: account
      column: number
      type: bigint
      check: {name: not_negative, constraint: number >= 0}
      unique: {name: one_number}
      default: '0'
      comment: a number
      up: number::bigint
      down: number::text
  - alter_column: {table: account, column: number, type: 'numeric(20,0)', up: number + 1, down: number - 1}
  - rename_column: {table: account, from: number, to: figure}
",
        vec![Field {
            old: Some(Side { column: "number", value: "{n}::text" }),
            new: Some(Side { column: "figure", value: "{n} + 1" }),
            follows: None,
        }],
    )
}

pub(super) fn create_constraints() -> Case {
    case(
        "create_constraints",
        "operations:
  - create_constraint:
      table: account
      name: i_j
      type: unique
      columns: [i, j]
      up: {i: i + 1, j: -j}
      down: {i: i - 1, j: -j}
  - create_constraint:
      table: account
      name: minus_and_k
      type: check
      columns: [minus, k]
      check: minus > 0 and k > 1000
      up: {minus: -minus, k: k + 1000}
      down: {minus: -minus, k: k - 1000}
  - create_constraint:
      table: account
      name: in_city
      type: foreign_key
      columns: [town]
      references: {table: city, columns: [id]}
      up: {town: town + 1000}
      down: {town: town - 1000}
",
        vec![
            both("i", "{n} % 100", "{n} % 100 + 1"),
            both("j", "{n}", "-{n}"),
            both("minus", "-{n} - 1", "{n} + 1"),
            both("k", "{n} + 1", "{n} + 1001"),
            both("town", "1 + {n} % 50", "1001 + {n} % 50"),
        ],
    )
}

pub(super) fn drop_constraints() -> Case {
    case(
        "drop_constraints",
        "operations:
  - drop_constraint: {table: account, name: k_is_positive, up: -k, down: -k}
  - drop_multicolumn_constraint:
      table: account
      name: l_m
      up: {l: l + 1, m: m + 7}
      down: {l: l - 1, m: m - 7}
",
        vec![
            both("k", "{n} + 1", "-{n} - 1"),
            both("l", "{n} % 100", "{n} % 100 + 1"),
            both("m", "{n}", "{n} + 7"),
        ],
    )
}

pub(super) fn names() -> Case {
    let letter = Field {
        old: Some(Side { column: "o", value: "'o' || {n}" }),
        new: Some(Side { column: "letter", value: "'o' || {n}" }),
        follows: None,
    };
    let gone = "case when {n} < 0 then 'by down' else 'g' || {n} end";
    let gone = Field { old: Some(Side { column: "gone", value: gone }), new: None, follows: None };
    let migration = "operations:
  - rename_table: {from: account, to: konto}
  - rename_column: {table: konto, from: o, to: letter}
  - drop_column: {table: konto, column: gone, down: \"'by down'\"}
  - rename_constraint: {table: konto, from: k_is_positive, to: k_is_more}
  - create_index: {name: konto_d, table: konto, columns: [{column: d}, {column: j, sort: DESC}]}
  - drop_index: {name: account_word}
";
    Case { table: "konto", ..case("names", migration, vec![letter, gone]) }
}

pub(super) fn tables() -> Case {
    case(
        "tables",
        "operations:
  - create_table:
      name: extra
      columns:
      - {name: id, type: int, pk: true}
      - {name: account_id, type: int, nullable: true, references: {name: to_account, table: account, column: id}}
  - set_replica_identity: {table: account, identity: {type: full}}
  - drop_table: {name: other}
",
        Vec::new(),
    )
}

pub(super) fn primary_key() -> Case {
    case(
        "primary_key",
        "operations:
  - alter_column: {table: account, column: id, type: bigint, up: id, down: id}
  - alter_column: {table: account, column: i, type: bigint, up: i + 5, down: i - 5}
",
        vec![both("i", "{n} % 100", "{n} % 100 + 5")],
    )
}
