//! Where in a file each part of a migration stands.

use crate::document::Place;
use std::collections::BTreeMap;

/// By path: `operations/0`, `operations/0/alter_column/up`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    by_path: BTreeMap<String, Place>,
}

impl Places {
    pub(crate) fn insert(&mut self, path: String, place: Place) {
        self.by_path.insert(path, place);
    }

    /// The place of this part, or of the nearest part around it that was written. An absent
    /// field of an operation is at the operation. 1:1 if nothing is known.
    pub fn nearest(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.by_path.get(path) {
                return *place;
            }
            match path.rsplit_once('/') {
                Some((around, _)) => path = around,
                None => return Place { line: 1, column: 1 },
            }
        }
    }

    /// The place of a field of an operation: `field(0, "alter_column", "up")`; of the operation
    /// itself if `field` is empty.
    pub fn field(&self, operation: usize, kind: &str, field: &str) -> Place {
        self.nearest(&format!("operations/{operation}/{kind}/{field}"))
    }
}
