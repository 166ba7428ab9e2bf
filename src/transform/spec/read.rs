//! From the tree to a [`Spec`], collecting every mistake on the way.

use super::model::{
    ColumnSpec, Defaults, DetectedPolicy, FreeTextPolicy, NewColumnPolicy, Pattern, Placed,
    Profile, ReferenceEnd, ReferenceSpec, Spec, TableSpec, UnclassifiedPolicy,
};
use super::names::{parse_column_name, parse_relation_name};
use super::rule;
use crate::document::{Diagnostic, Key, Node, Place, Tree, read_yaml, suggest};

/// The only version of the file format so far.
const VERSION: i128 = 1;
const TOP_KEYS: [&str; 9] = [
    "version",
    "profile",
    "include",
    "exclude",
    "schema_only",
    "defaults",
    "tables",
    "references",
    "publications",
];

/// Reads transforms.yaml.
///
/// # Errors
/// Every mistake of the file, in the order of their places. Only text that is not YAML stops at
/// the first one.
pub fn parse(text: &str, file: &str) -> Result<Spec, Vec<Diagnostic>> {
    let root = read_yaml(text, file).map_err(|diagnostic| vec![diagnostic])?;
    let mut reader = Reader { file, found: Vec::new() };
    let spec = reader.spec(root);
    if reader.found.is_empty() {
        Ok(spec)
    } else {
        reader.found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        Err(reader.found)
    }
}

pub(super) struct Reader<'a> {
    file: &'a str,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.found.push(Diagnostic::error(self.file, place, message).with_hint_if(hint));
    }

    fn spec(&mut self, root: Node) -> Spec {
        let mut spec = Spec { file: self.file.to_owned(), ..Spec::default() };
        let start = Place { line: 1, column: 1 };
        // A file of nothing but comments is null to YAML.
        let empty = root.tree == Tree::Null;
        let entries = if empty { Vec::new() } else { self.map(root, "the file") };
        let mut versioned = false;
        for (key, node) in entries {
            match key.text.as_str() {
                "version" => {
                    versioned = true;
                    self.version(&node);
                }
                "profile" => spec.profile = self.choice(&node, "profile", &PROFILES),
                "include" => spec.include = self.patterns(node, "include"),
                "exclude" => spec.exclude = self.patterns(node, "exclude"),
                "schema_only" => spec.schema_only = self.patterns(node, "schema_only"),
                "defaults" => spec.defaults = self.defaults(node),
                "tables" => spec.tables = self.tables(node),
                "references" => spec.references = self.references(node),
                "publications" => spec.publications = self.names(node, "publications"),
                _ => self.unknown_key(&key, "", &TOP_KEYS),
            }
        }
        if !versioned {
            let hint = Some("begin the file with `version: 1`".to_owned());
            self.error(start, "`version` is missing", hint);
        }
        spec
    }

    fn version(&mut self, node: &Node) {
        if node.tree != Tree::Int(VERSION) {
            let hint = Some("this program reads `version: 1`".to_owned());
            self.error(node.place, "this version of the file format is not known", hint);
        }
    }

    /// The entries of a map without the repeated ones, which are reported.
    pub(super) fn map(&mut self, node: Node, what: &str) -> Vec<(Key, Node)> {
        let Node { tree, place } = node;
        let Tree::Map(entries) = tree else {
            self.error(place, format!("{what} must be a map, not {}", tree.describe()), None);
            return Vec::new();
        };
        let mut kept: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            match kept.iter().find(|(first, _)| first.text == key.text) {
                Some((first, _)) => {
                    let message = format!("`{}` is given twice", key.text);
                    let hint = format!(
                        "it stands at line {} already; only one of the two can hold",
                        first.place.line
                    );
                    self.error(key.place, message, Some(hint));
                }
                None => kept.push((key, node)),
            }
        }
        kept
    }

    pub(super) fn text(&mut self, node: Node, what: &str) -> Option<String> {
        let hint = match node.tree {
            Tree::Text(text) => return Some(text),
            Tree::Null => Some("write \"null\" in quotes if the word is meant".to_owned()),
            Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) => Some("put it in quotes".to_owned()),
            Tree::List(_) | Tree::Map(_) => None,
        };
        let message = format!("{what} must be a string, not {}", node.tree.describe());
        self.error(node.place, message, hint);
        None
    }

    pub(super) fn unknown_key(&mut self, key: &Key, inside: &str, known: &[&str]) {
        let inside = if inside.is_empty() { String::new() } else { format!(" in {inside}") };
        let hint = suggest(&key.text, known.iter().copied())
            .or_else(|| Some(format!("known here: {}", known.join(", "))));
        self.error(key.place, format!("unknown key `{}`{inside}", key.text), hint);
    }

    pub(super) fn choice<T: Copy + Default>(
        &mut self,
        node: &Node,
        what: &str,
        choices: &[(&str, T)],
    ) -> T {
        let names = || choices.iter().map(|(name, _)| *name);
        let listed = names().collect::<Vec<_>>().join(", ");
        if let Tree::Text(text) = &node.tree {
            if let Some((_, value)) = choices.iter().find(|(name, _)| name == text) {
                return *value;
            }
            let hint = suggest(text, names()).or_else(|| Some(format!("one of: {listed}")));
            self.error(node.place, format!("`{text}` is not a choice for `{what}`"), hint);
        } else {
            let null = node.tree == Tree::Null && names().any(|name| name == "null");
            let hint = if null {
                "YAML reads a bare null as nothing: write \"null\" in quotes".to_owned()
            } else {
                format!("one of: {listed}")
            };
            let message = format!("`{what}` must be a word, not {}", node.tree.describe());
            self.error(node.place, message, Some(hint));
        }
        T::default()
    }

    fn patterns(&mut self, node: Node, what: &str) -> Vec<Placed<Pattern>> {
        let mut patterns = Vec::new();
        for item in self.list(node, what) {
            let place = item.place;
            let Some(text) = self.text(item, "a pattern") else { continue };
            if let Some(name) = parse_relation_name(&text) {
                let value = Pattern { schema: name.schema, name: name.name };
                patterns.push(Placed { value, place });
            } else {
                let message = format!("`{text}` is not a pattern of the form `schema.table`");
                self.error(place, message, Some(qualify(&text)));
            }
        }
        patterns
    }

    fn names(&mut self, node: Node, what: &str) -> Vec<Placed<String>> {
        let mut names: Vec<Placed<String>> = Vec::new();
        for item in self.list(node, what) {
            let place = item.place;
            let Some(value) = self.text(item, "a name") else { continue };
            if value.is_empty() || names.iter().any(|name| name.value == value) {
                self.error(place, format!("`{value}` is empty or given twice"), None);
            } else {
                names.push(Placed { value, place });
            }
        }
        names
    }

    fn list(&mut self, node: Node, what: &str) -> Vec<Node> {
        let message = format!("`{what}` must be a list, not {}", node.tree.describe());
        let hint = match node.tree {
            Tree::List(items) => return items,
            Tree::Text(text) => Some(format!("write `{what}: [\"{text}\"]`")),
            Tree::Null | Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) | Tree::Map(_) => None,
        };
        self.error(node.place, message, hint);
        Vec::new()
    }

    fn defaults(&mut self, node: Node) -> Defaults {
        let mut defaults = Defaults::default();
        for (key, node) in self.map(node, "`defaults`") {
            match key.text.as_str() {
                "detected" => defaults.detected = self.choice(&node, "detected", &DETECTED),
                "free_text" => defaults.free_text = self.choice(&node, "free_text", &FREE_TEXT),
                "unclassified" => {
                    defaults.unclassified = self.choice(&node, "unclassified", &UNCLASSIFIED);
                }
                "new_column" => {
                    defaults.new_column = self.choice(&node, "new_column", &NEW_COLUMN);
                }
                _ => self.unknown_key(
                    &key,
                    "`defaults`",
                    &["detected", "free_text", "unclassified", "new_column"],
                ),
            }
        }
        defaults
    }

    fn tables(&mut self, node: Node) -> Vec<TableSpec> {
        let mut tables: Vec<TableSpec> = Vec::new();
        for (key, node) in self.map(node, "`tables`") {
            let Some(name) = parse_relation_name(&key.text) else {
                let message = format!("`{}` is not a table name", key.text);
                self.error(key.place, message, Some(qualify(&key.text)));
                // Its rules are read for their own mistakes.
                self.table_body(node, &key.text);
                continue;
            };
            // `"public".users` and `public.users` are one table under two keys.
            if let Some(first) = tables.iter().find(|table| table.name == name) {
                let hint = format!("it stands at line {} already", first.place.line);
                self.error(key.place, format!("table `{name}` is given twice"), Some(hint));
            }
            let (filter, columns) = self.table_body(node, &key.text);
            tables.push(TableSpec { name, place: key.place, filter, columns });
        }
        tables
    }

    fn table_body(&mut self, node: Node, table: &str) -> (Option<Placed<String>>, Vec<ColumnSpec>) {
        let (mut filter, mut columns) = (None, Vec::new());
        for (key, node) in self.map(node, &format!("table `{table}`")) {
            match key.text.as_str() {
                "where" => filter = self.filter(node),
                "columns" => {
                    for (key, node) in self.map(node, &format!("`columns` of `{table}`")) {
                        let rule_place = node.place;
                        if let Some(rule) = rule::read(self, node, &key.text) {
                            let (name, place) = (key.text, key.place);
                            columns.push(ColumnSpec { name, place, rule, rule_place });
                        }
                    }
                }
                _ => self.unknown_table_key(&key, table),
            }
        }
        (filter, columns)
    }

    fn unknown_table_key(&mut self, key: &Key, table: &str) {
        let known = ["where", "columns"];
        let hint = suggest(&key.text, known)
            .unwrap_or_else(|| format!("rules of columns stand under `columns:` of `{table}`"));
        let message = format!("unknown key `{}` in table `{table}`", key.text);
        self.error(key.place, message, Some(hint));
    }

    fn filter(&mut self, node: Node) -> Option<Placed<String>> {
        let place = node.place;
        let text = self.text(node, "`where`")?;
        if text.trim().is_empty() {
            let hint = Some("leave `where` out to copy every row".to_owned());
            self.error(place, "`where` is empty", hint);
            return None;
        }
        if text.contains(';') || text.contains("--") || text.contains("/*") {
            let hint = Some("a single condition, without `;` and without comments".to_owned());
            self.error(place, "`where` must be one SQL condition", hint);
            return None;
        }
        Some(Placed { value: text, place })
    }

    fn references(&mut self, node: Node) -> Vec<ReferenceSpec> {
        let mut references = Vec::new();
        for item in self.list(node, "references") {
            let place = item.place;
            let (mut from, mut to, mut broken) = (None, None, false);
            for (key, node) in self.map(item, "a reference") {
                let slot = match key.text.as_str() {
                    "from" => &mut from,
                    "to" => &mut to,
                    _ => {
                        self.unknown_key(&key, "a reference", &["from", "to"]);
                        continue;
                    }
                };
                *slot = self.reference_end(node, &key.text);
                broken |= slot.is_none();
            }
            match (from, to) {
                (Some(from), Some(to)) => references.push(ReferenceSpec { from, to }),
                _ if broken => {}
                _ => {
                    let hint = "write `{from: schema.table.column, to: schema.table.column}`";
                    let message = "a reference needs `from` and `to`";
                    self.error(place, message, Some(hint.to_owned()));
                }
            }
        }
        references
    }

    fn reference_end(&mut self, node: Node, what: &str) -> Option<ReferenceEnd> {
        let place = node.place;
        let text = self.text(node, &format!("`{what}`"))?;
        let Some((table, column)) = parse_column_name(&text) else {
            let hint = Some("write `schema.table.column`".to_owned());
            self.error(place, format!("`{text}` is not the name of a column"), hint);
            return None;
        };
        Some(ReferenceEnd { table, column, place })
    }
}

fn qualify(text: &str) -> String {
    if text.is_empty() || text.contains(['.', '"']) {
        "write `schema.table`; a part with a dot in it stands in double quotes".to_owned()
    } else {
        format!("name the schema too: `public.{text}`")
    }
}

const PROFILES: [(&str, Profile); 2] =
    [("realistic", Profile::Realistic), ("safe_harbor", Profile::SafeHarbor)];
const DETECTED: [(&str, DetectedPolicy); 3] = [
    ("transform", DetectedPolicy::Transform),
    ("keep", DetectedPolicy::Keep),
    ("error", DetectedPolicy::Error),
];
const FREE_TEXT: [(&str, FreeTextPolicy); 4] = [
    ("fill", FreeTextPolicy::Fill),
    ("null", FreeTextPolicy::Null),
    ("keep", FreeTextPolicy::Keep),
    ("error", FreeTextPolicy::Error),
];
const UNCLASSIFIED: [(&str, UnclassifiedPolicy); 4] = [
    ("keep", UnclassifiedPolicy::Keep),
    ("fill", UnclassifiedPolicy::Fill),
    ("null", UnclassifiedPolicy::Null),
    ("error", UnclassifiedPolicy::Error),
];
const NEW_COLUMN: [(&str, NewColumnPolicy); 3] = [
    ("detect", NewColumnPolicy::Detect),
    ("null", NewColumnPolicy::Null),
    ("stop_table", NewColumnPolicy::StopTable),
];
