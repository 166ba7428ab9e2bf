//! How each type of the format is read and written: `record!` and `words!` declare a type
//! together with both, so that a field cannot be known to one and not to the other.

use super::Reader;
use crate::document::{Key, Node, Tree};
use serde_json::Value;
use std::collections::BTreeMap;

/// A value in a migration file.
pub(crate) trait Shape: Default {
    /// Whether null is a value of its own. To most types it is absence.
    const READS_NULL: bool = false;

    /// Reads it; a mistake is reported and gives the default.
    fn read(node: Node, reader: &mut Reader<'_>) -> Self;

    /// Reads a list of it.
    fn read_list(node: Node, reader: &mut Reader<'_>) -> Vec<Self> {
        reader.list(node)
    }

    /// Whether it is written only where the format always writes it.
    fn is_absent(&self) -> bool;

    fn write(&self) -> Value;
}

impl Shape for String {
    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        reader.text(&node).unwrap_or_default()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self) -> Value {
        self.as_str().into()
    }
}

impl Shape for bool {
    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        reader.boolean(&node).unwrap_or_default()
    }

    /// A boolean of its own is false if it is absent; `Option<bool>` is written either way.
    fn is_absent(&self) -> bool {
        !self
    }

    fn write(&self) -> Value {
        (*self).into()
    }
}

/// An empty text is none; an empty record or `false` is some.
impl<T: Optional> Shape for Option<T> {
    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        T::read_optional(node, reader)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write(&self) -> Value {
        self.as_ref().map_or_else(|| "".into(), Optional::write_present)
    }
}

/// What can be absent as a whole.
pub(crate) trait Optional: Sized {
    fn read_optional(node: Node, reader: &mut Reader<'_>) -> Option<Self>;

    fn write_present(&self) -> Value;
}

impl Optional for bool {
    fn read_optional(node: Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.boolean(&node)
    }

    fn write_present(&self) -> Value {
        self.write()
    }
}

impl Optional for String {
    fn read_optional(node: Node, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(&node).filter(|text| !text.is_empty())
    }

    fn write_present(&self) -> Value {
        self.write()
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        T::read_list(node, reader)
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self) -> Value {
        self.iter().map(Shape::write).collect()
    }
}

impl Shape for BTreeMap<String, String> {
    fn read(node: Node, reader: &mut Reader<'_>) -> Self {
        let entries = reader.map(node);
        let read = |(key, node): (Key, Node)| {
            let text = reader.within(&key.text, |reader| reader.value(node));
            (key.text, text)
        };
        entries.into_iter().map(read).collect()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(&self) -> Value {
        self.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect()
    }
}

/// The fields of a map that is being read.
pub(crate) struct Fields<'r, 'a> {
    pub(crate) reader: &'r mut Reader<'a>,
    entries: Vec<(Key, Node)>,
    known: &'static [&'static str],
}

impl<'r, 'a> Fields<'r, 'a> {
    pub(crate) fn new(
        node: Node,
        reader: &'r mut Reader<'a>,
        known: &'static [&'static str],
    ) -> Self {
        let entries = reader.map(node);
        Self { reader, entries, known }
    }

    /// Reads the field and takes it away. Letters in another case pass, as they do in Go, where no key is spelt exactly.
    pub(crate) fn take<T: Shape>(&mut self, key: &'static str) -> T {
        let exact = self.entries.iter().position(|(found, _)| found.text == key);
        let like =
            || self.entries.iter().position(|(found, _)| found.text.eq_ignore_ascii_case(key));
        let Some(at) = exact.or_else(like) else { return T::default() };
        let (_, node) = self.entries.remove(at);
        if node.tree == Tree::Null && !T::READS_NULL {
            return T::default();
        }
        self.reader.within(key, |reader| reader.value(node))
    }

    /// Reports what was not taken.
    pub(crate) fn finish(self) {
        for (key, _) in &self.entries {
            self.reader.unknown_key(key, self.known);
        }
    }
}

/// Declares a map of the format: its struct, its reader and its writer. Fields stand in the order
/// in which they are written; `required` ones are written even if they are empty. `custom` leaves
/// the `Shape` to be written by hand, from `read_fields` and `write_fields`.
macro_rules! record {
    (custom $($rest:tt)*) => {
        $crate::migrate::file::record!(@fields $($rest)*);
    };
    (@fields
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $($required:ident)? $key:literal => $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// In the order in which they are written.
            pub(crate) const KEYS: &'static [&'static str] = &[$($key),*];

            fn read_fields(
                node: $crate::document::Node,
                reader: &mut $crate::migrate::file::Reader<'_>,
            ) -> Self {
                let mut fields = $crate::migrate::file::Fields::new(node, reader, Self::KEYS);
                let record = Self { $($field: fields.take($key),)* };
                fields.finish();
                record
            }

            fn write_fields(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $(
                    let is_required = $crate::migrate::file::record!(@required $($required)?);
                    if is_required || !$crate::migrate::file::Shape::is_absent(&self.$field) {
                        let value = $crate::migrate::file::Shape::write(&self.$field);
                        map.insert($key.to_owned(), value);
                    }
                )*
                serde_json::Value::Object(map)
            }
        }

        impl $crate::migrate::file::Optional for $name {
            fn read_optional(
                node: $crate::document::Node,
                reader: &mut $crate::migrate::file::Reader<'_>,
            ) -> Option<Self> {
                Some(Self::read_fields(node, reader))
            }

            fn write_present(&self) -> serde_json::Value {
                self.write_fields()
            }
        }
    };
    (@required required) => { true };
    (@required) => { false };
    ($(#[$meta:meta])* pub struct $name:ident $fields:tt) => {
        $crate::migrate::file::record!(@fields $(#[$meta])* pub struct $name $fields);

        impl $crate::migrate::file::Shape for $name {
            fn read(
                node: $crate::document::Node,
                reader: &mut $crate::migrate::file::Reader<'_>,
            ) -> Self {
                Self::read_fields(node, reader)
            }

            fn is_absent(&self) -> bool {
                *self == Self::default()
            }

            fn write(&self) -> serde_json::Value {
                self.write_fields()
            }
        }
    };
}
pub(crate) use record;

/// Declares a choice of words, with the kind of the mistake that another word is.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident $words:tt
    ) => {
        $crate::migrate::file::words! {
            kind $crate::migrate::plan::FindingKind::InvalidMigration;
            $(#[$meta])*
            pub enum $name $words
        }
    };
    (
        kind $kind:expr;
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$word_meta:meta])* $word:literal => $variant:ident,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_meta])* $variant,)*
        }

        impl $name {
            /// As in the file.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl $crate::migrate::file::Optional for $name {
            fn read_optional(
                node: $crate::document::Node,
                reader: &mut $crate::migrate::file::Reader<'_>,
            ) -> Option<Self> {
                reader.word(&node, $kind, &[$(($word, Self::$variant)),*])
            }

            fn write_present(&self) -> serde_json::Value {
                self.word().into()
            }
        }
    };
}
pub(crate) use words;
