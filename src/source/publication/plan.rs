//! Which table goes into which publication: decided without IO, from the catalog and the
//! relations' replica identities.

use crate::catalog::{Catalog, RelationKind, RelationName, TableId};
use crate::pg::{Error, Oid, Session};
use std::collections::{BTreeMap, BTreeSet};

const REPLICA_IDENTITY: &str = include_str!("../sql/replica_identity.sql");

/// What the server knows a relation's rows by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationIdentity {
    pub owner: String,
    /// True if the role that asked has the owner's rights.
    pub is_owned: bool,
    /// False for unlogged relations: their changes are not in the WAL.
    pub is_logged: bool,
    /// Why UPDATE and DELETE cannot be published; None if they can.
    pub missing: Option<String>,
    /// True if it is the primary key that identifies rows: partitions made later have it too.
    pub is_primary_key: bool,
}

/// How a copied table is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    Whole,
    /// INSERT and TRUNCATE only.
    InsertOnly {
        reason: String,
    },
    Not {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    pub name: RelationName,
    pub following: Following,
}

/// A relation as it stands in `FOR TABLE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    pub name: RelationName,
    pub oid: Oid,
    /// A partitioned table stands for its partitions, also for later ones.
    pub is_partitioned: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicationPlan {
    /// Published with insert, update, delete, truncate.
    pub whole: BTreeSet<Published>,
    /// Published with insert, truncate.
    pub insert_only: BTreeSet<Published>,
    /// Every copied table that holds rows, in the catalog's order.
    pub tables: Vec<Followed>,
}

/// The identities of the catalog's relations.
pub async fn relation_identities(
    session: &Session,
    catalog: &Catalog,
) -> Result<BTreeMap<Oid, RelationIdentity>, Error> {
    let oids = catalog.tables.iter().map(|table| table.oid.0).collect::<Vec<_>>();
    let version = "select pg_catalog.current_setting('server_version_num')::int4";
    let version: i32 = session.query_one(version, &[]).await?.get(0);
    let rows = session.query(REPLICA_IDENTITY, &[&oids]).await?;
    Ok(rows.iter().map(|row| (Oid(row.get("oid")), identity(row, version))).collect())
}

/// From 18 on, UPDATE fails on a published table whose identity holds a generated column that the
/// publication leaves out (publicationcmds.c `pub_contains_invalid_column`).
const GENERATED_REFUSED_FROM: i32 = 18_00_00;

fn identity(row: &tokio_postgres::Row, version: i32) -> RelationIdentity {
    let setting: &str = row.get("setting");
    let key_columns: Option<Vec<String>> = row.get("key_columns");
    let has_generated: bool = row.get("has_generated");
    let missing = match setting {
        "f" if has_generated && version >= GENERATED_REFUSED_FROM => Some(
            "REPLICA IDENTITY FULL with a generated column, which PostgreSQL 18 does not let publish updates",
        ),
        "f" => None,
        "n" => Some("REPLICA IDENTITY NOTHING"),
        _ if key_columns.is_some() && row.get("key_has_generated") => {
            Some("a generated column is part of its replica identity")
        }
        _ if key_columns.is_some() => None,
        "i" => Some("the index of its REPLICA IDENTITY is gone"),
        _ if row.get("has_deferrable_key") => Some("its primary key is deferrable"),
        _ => Some("no primary key"),
    };
    RelationIdentity {
        owner: row.get("owner"),
        is_owned: row.get("is_owned"),
        is_logged: row.get::<_, &str>("persistence") == "p",
        missing: missing.map(str::to_owned),
        is_primary_key: setting == "d" && key_columns.is_some(),
    }
}

/// Decides for the tables that are copied.
pub fn plan_publications(
    catalog: &Catalog,
    copied: &BTreeSet<TableId>,
    identities: &BTreeMap<Oid, RelationIdentity>,
) -> PublicationPlan {
    let mut plan = PublicationPlan::default();
    let mut trees = BTreeMap::<TableId, Vec<TableId>>::new();
    for (id, table) in catalog.iter().filter(|(_, table)| table.kind == RelationKind::Table) {
        trees.entry(catalog.partition_root(id)).or_default().push(id);
        if copied.contains(&id) {
            let following = following(identities.get(&table.oid));
            plan.tables.push(Followed { name: table.name.clone(), following });
        }
    }
    for (root, leaves) in trees {
        let is_tree = catalog.table(root).kind == RelationKind::Partitioned;
        let all_copied = leaves.iter().all(|leaf| copied.contains(leaf));
        let follows_whole = |id: &TableId| {
            let identity = identities.get(&catalog.table(*id).oid);
            identity.is_some_and(|identity| !identity.is_logged || identity.missing.is_none())
        };
        let mut singly = leaves.clone();
        singly.retain(|leaf| copied.contains(leaf));
        if is_tree && all_copied {
            let root_identity = identities.get(&catalog.table(root).oid);
            // A partition made later has the root's primary key, and no other identity.
            let later_ones_have_one = root_identity.is_some_and(|root| root.is_primary_key);
            if later_ones_have_one && leaves.iter().all(follows_whole) {
                plan.whole.insert(published(catalog, root));
                continue;
            }
            plan.insert_only.insert(published(catalog, root));
            singly.retain(follows_whole);
        }
        for leaf in singly {
            match following(identities.get(&catalog.table(leaf).oid)) {
                Following::Whole => plan.whole.insert(published(catalog, leaf)),
                Following::InsertOnly { .. } => plan.insert_only.insert(published(catalog, leaf)),
                Following::Not { .. } => false,
            };
        }
    }
    plan
}

fn following(identity: Option<&RelationIdentity>) -> Following {
    match identity {
        None => Following::Not { reason: "it was dropped meanwhile".into() },
        Some(identity) if !identity.is_logged => {
            Following::Not { reason: "unlogged: its changes are not in the WAL".into() }
        }
        Some(RelationIdentity { missing: Some(reason), .. }) => {
            Following::InsertOnly { reason: reason.clone() }
        }
        Some(_) => Following::Whole,
    }
}

fn published(catalog: &Catalog, id: TableId) -> Published {
    let table = catalog.table(id);
    Published {
        name: table.name.clone(),
        oid: table.oid,
        is_partitioned: table.kind == RelationKind::Partitioned,
    }
}
