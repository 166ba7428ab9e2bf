//! From the tree to a [`Migration`], collecting every mistake on the way.

use super::{Form, Migration, MigrationFile, Mistake, Places, Shape};
use crate::document::{Diagnostic, Key, Node, Place, Tree, read_json, read_yaml, suggest};
use crate::migrate::convert::is_placeholder;
use crate::migrate::operation::Operation;
use crate::migrate::plan::FindingKind;

const TOP_KEYS: [&str; 3] = ["name", "version_schema", "operations"];

/// Reads a migration file; its name says what form it has (YAML if the extension says nothing)
/// and what the migration is called.
///
/// # Errors
/// Every mistake of the file, in the order of their places. Only text that is neither YAML nor
/// JSON stops at the first one.
pub fn read(text: &str, file: &str) -> Result<MigrationFile, Vec<Mistake>> {
    let form = Form::of(file).unwrap_or(Form::Yaml);
    read_named(text, file, super::migration_name(file), form, false)
}

/// Reads a migration as it is stored in the history: the content of a file as JSON.
///
/// # Errors
/// As [`read`]; the file of the diagnostics is the migration's name.
pub fn from_json(name: &str, text: &str) -> Result<Migration, Vec<Mistake>> {
    read_named(text, name, name, Form::Json, true).map(|file| file.migration)
}

fn read_named(
    text: &str,
    file: &str,
    name: &str,
    form: Form,
    may_be_unfinished: bool,
) -> Result<MigrationFile, Vec<Mistake>> {
    let root = match form {
        Form::Json => read_json(text, file),
        Form::Yaml => read_yaml(text, file),
    };
    let root = root
        .map_err(|diagnostic| vec![Mistake { kind: FindingKind::InvalidMigration, diagnostic }])?;
    let mut reader = Reader::new(file, may_be_unfinished);
    let mut migration = reader.migration(root, name);
    name.clone_into(&mut migration.name);
    let Reader { mut found, places, warnings, is_old_form, .. } = reader;
    if found.is_empty() {
        return Ok(MigrationFile { migration, form, places, warnings, is_old_form });
    }
    found.sort_by_key(|mistake| (mistake.diagnostic.line, mistake.diagnostic.column));
    Err(found)
}

pub(crate) struct Reader<'a> {
    file: &'a str,
    /// Keys and indexes from the root to what is being read.
    path: Vec<String>,
    found: Vec<Mistake>,
    warnings: Vec<Diagnostic>,
    places: Places,
    is_old_form: bool,
    /// What is in the history was run: it is not judged again.
    may_be_unfinished: bool,
}

impl<'a> Reader<'a> {
    fn new(file: &'a str, may_be_unfinished: bool) -> Self {
        Self {
            file,
            may_be_unfinished,
            path: Vec::new(),
            found: Vec::new(),
            warnings: Vec::new(),
            places: Places::default(),
            is_old_form: false,
        }
    }

    fn migration(&mut self, root: Node, name: &str) -> Migration {
        let mut migration = Migration::default();
        let place = root.place;
        let mut operations = None;
        for (key, node) in self.map(root) {
            match key.text.as_str() {
                "name" => self.own_name(&node, name),
                "version_schema" => migration.version_schema = self.version_schema(&node),
                "operations" => operations = Some(node),
                _ => self.unknown_key(&key, &TOP_KEYS),
            }
        }
        if let Some(node) = operations {
            migration.operations = self.within("operations", |reader| reader.operations(node));
        } else {
            let hint = "a migration is `operations:` with a list of operations";
            self.error(place, "`operations` is missing", Some(hint.to_owned()));
        }
        migration
    }

    fn own_name(&mut self, node: &Node, name: &str) {
        let Some(written) = self.within("name", |reader| reader.scalar(node)) else { return };
        if written != name {
            let message =
                format!("`name: {written}` is ignored: the file's name is the migration's");
            let warning = Diagnostic::warning(self.file, node.place, message);
            self.warnings.push(warning.with_hint(format!("the migration is `{name}`")));
        }
    }

    /// pgroll takes a bare number or boolean here, and nowhere else.
    fn version_schema(&mut self, node: &Node) -> Option<String> {
        if node.tree == Tree::Null {
            return None;
        }
        let text = self.within("version_schema", |reader| reader.scalar(node));
        text.filter(|text| !text.is_empty())
    }

    fn scalar(&mut self, node: &Node) -> Option<String> {
        self.places.insert(self.path.join("/"), node.place);
        match &node.tree {
            Tree::Int(number) => Some(number.to_string()),
            Tree::Float(number) => Some(number.to_string()),
            Tree::Bool(value) => Some(value.to_string()),
            Tree::Null | Tree::Text(_) | Tree::List(_) | Tree::Map(_) => self.text(node),
        }
    }

    fn operations(&mut self, node: Node) -> Vec<Operation> {
        let items = self.items(node);
        let mut operations = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            operations.extend(self.within(&index.to_string(), |reader| reader.operation(item)));
        }
        operations
    }

    fn operation(&mut self, node: Node) -> Option<Operation> {
        let place = node.place;
        self.places.insert(self.path.join("/"), place);
        if !matches!(node.tree, Tree::Map(_)) {
            let message = format!("an operation must be a map, not {}", node.tree.describe());
            let mut hint = None;
            if let Tree::Text(kind) = node.tree {
                hint = Some(format!("write `{kind}: {{…}}`"));
            }
            self.error(place, message, hint);
            return None;
        }
        let mut entries = self.map(node).into_iter();
        let Some((key, body)) = entries.next() else {
            let hint = format!("one of: {}", Operation::KINDS.join(", "));
            self.error(place, "an operation has no name", Some(hint));
            return None;
        };
        for (second, _) in entries {
            let message =
                format!("`{}` stands in one list element with `{}`", second.text, key.text);
            let hint = "each operation is a list element of its own: write `- ` before it";
            self.error(second.place, message, Some(hint.to_owned()));
        }
        let body_is_map = matches!(body.tree, Tree::Map(_));
        if !body_is_map && Operation::KINDS.contains(&key.text.as_str()) {
            let message = format!("`{}` must be a map, not {}", key.text, body.tree.describe());
            self.error(body.place, message, None);
            return None;
        }
        let operation = self.within(&key.text, |reader| Operation::read(&key.text, body, reader));
        if operation.is_none() {
            let known = || Operation::KINDS.iter().copied();
            let hint = suggest(&key.text, known())
                .unwrap_or_else(|| format!("known: {}", Operation::KINDS.join(", ")));
            self.error(key.place, format!("unknown operation `{}`", key.text), Some(hint));
        }
        operation
    }

    fn error(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.error_of(FindingKind::InvalidMigration, place, message, hint);
    }

    pub(crate) fn error_of(
        &mut self,
        kind: FindingKind,
        place: Place,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let diagnostic = Diagnostic::error(self.file, place, message).with_hint_if(hint);
        self.found.push(Mistake { kind, diagnostic });
    }

    pub(crate) fn found_old_form(&mut self, place: Place, what: &str) {
        self.is_old_form = true;
        let message = format!("an older form of {}: {what}", self.describe());
        let warning = Diagnostic::warning(self.file, place, message);
        self.warnings.push(warning.with_hint("`backlot roll update` rewrites the file"));
    }

    /// Reads a part of what is being read.
    pub(crate) fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key.to_owned());
        let value = read(self);
        self.path.pop();
        value
    }

    /// What is being read, for messages: `create_index.columns[0].sort`.
    fn describe(&self) -> String {
        let inner = match self.path.as_slice() {
            [operations, _, rest @ ..] if operations == "operations" => rest,
            path => path,
        };
        let mut text = String::new();
        for part in inner {
            match part.parse::<usize>() {
                Ok(_) => text.extend(["[", part, "]"]),
                Err(_) if text.is_empty() => text.push_str(part),
                Err(_) => text.extend([".", part]),
            }
        }
        if text.is_empty() { "the file".to_owned() } else { format!("`{text}`") }
    }

    /// The entries of a map without the repeated ones, which are reported.
    pub(crate) fn map(&mut self, node: Node) -> Vec<(Key, Node)> {
        let Tree::Map(entries) = node.tree else {
            let message =
                format!("{} must be a map, not {}", self.describe(), node.tree.describe());
            self.error(node.place, message, None);
            return Vec::new();
        };
        let mut kept: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            match kept.iter().find(|(first, _)| first.text == key.text) {
                Some((first, _)) => {
                    let hint = format!("it stands at line {} already", first.place.line);
                    self.error(key.place, format!("`{}` is given twice", key.text), Some(hint));
                }
                None => kept.push((key, node)),
            }
        }
        kept
    }

    /// The items of a list.
    fn items(&mut self, node: Node) -> Vec<Node> {
        self.places.insert(self.path.join("/"), node.place);
        let Tree::List(items) = node.tree else {
            let what = node.tree.describe();
            let message = format!("{} must be a list, not {what}", self.describe());
            self.error(node.place, message, Some("begin each item with `- `".to_owned()));
            return Vec::new();
        };
        items
    }

    pub(crate) fn list<T: Shape>(&mut self, node: Node) -> Vec<T> {
        let items = self.items(node).into_iter().enumerate();
        items.map(|(at, item)| self.within(&at.to_string(), |r| r.value(item))).collect()
    }

    pub(crate) fn value<T: Shape>(&mut self, node: Node) -> T {
        self.places.insert(self.path.join("/"), node.place);
        T::read(node, self)
    }

    pub(crate) fn text(&mut self, node: &Node) -> Option<String> {
        let hint = match &node.tree {
            Tree::Text(text) if self.may_be_unfinished || !is_placeholder(text) => {
                return Some(text.clone());
            }
            Tree::Text(_) => {
                let message = format!("{} is still to be written", self.describe());
                let hint = "`convert` could not derive it: put an SQL expression in its place";
                let kind = FindingKind::InvalidExpression;
                self.error_of(kind, node.place, message, Some(hint.to_owned()));
                return None;
            }
            Tree::Bool(_) | Tree::Int(_) | Tree::Float(_) => Some("put it in quotes".to_owned()),
            Tree::Null | Tree::List(_) | Tree::Map(_) => None,
        };
        let what = node.tree.describe();
        let message = format!("{} must be a string, not {what}", self.describe());
        self.error(node.place, message, hint);
        None
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        if let Tree::Bool(value) = node.tree {
            return Some(value);
        }
        let hint = matches!(node.tree, Tree::Text(_)).then(|| "leave the quotes out".to_owned());
        let what = node.tree.describe();
        let message = format!("{} must be true or false, not {what}", self.describe());
        self.error(node.place, message, hint);
        None
    }

    /// One of the words, whichever case its letters have.
    pub(crate) fn word<T: Copy>(
        &mut self,
        node: &Node,
        kind: FindingKind,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(node).filter(|text| !text.is_empty())?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let listed = names().collect::<Vec<_>>().join(", ");
        let hint = suggest(&text, names()).unwrap_or_else(|| format!("one of: {listed}"));
        let message = format!("`{text}` is not a choice for {}", self.describe());
        self.error_of(kind, node.place, message, Some(hint));
        None
    }

    pub(crate) fn unknown_key(&mut self, key: &Key, known: &[&str]) {
        let hint = suggest(&key.text, known.iter().copied())
            .unwrap_or_else(|| format!("known here: {}", known.join(", ")));
        let message = format!("unknown key `{}` in {}", key.text, self.describe());
        self.error(key.place, message, Some(hint));
    }
}
