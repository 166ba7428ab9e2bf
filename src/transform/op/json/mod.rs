//! `json`: rules for paths inside a document, rewritten as it streams by.
//!
//! Outside ruled leaves every byte stays: order and repetition of keys, white space, the
//! spelling of numbers. Object keys that a rule names or that a programmer may have written stay;
//! one that can only be data (an address, a number) is filled. Of what no path names, numbers as
//! long as those of people are permuted, others stay. JSON null stays null, and booleans stay unless the rule is `constant` or `null`.
//! A rule on a path reaches every leaf below it, unless a longer path says otherwise; `[*]` and
//! its absence mean the same to an array. A string leaf is `Value::Text` to its rule, a number
//! leaf `Value::Int` or `Value::Numeric`; a rule that cannot read the leaf it meets fills it
//! (strings) or permutes its digits (numbers). In a text column, what is not JSON is filled.

mod path;
mod rewrite;
mod scan;
mod spelling;

use super::fill::Fill;
use super::{BuildError, Op, accepts};
use crate::pg::Kind;
use crate::transform::key::RootKey;
use crate::transform::{Fault, Output, Rule, Shape, Transform, UnknownPath, Value};
use path::Step;
use std::collections::BTreeMap;

#[cfg(test)]
pub(super) use rewrite::is_data_key;
pub(super) use scan::is_valid;

pub(super) struct Json {
    nodes: Vec<Node>,
    unknown: UnknownPath,
    fill: Fill,
    /// For long numbers that no path names.
    long: Box<Op>,
}

#[derive(Default)]
struct Node {
    keys: Vec<(Box<str>, usize)>,
    elements: Option<usize>,
    leaf: Option<Leaf>,
}

enum Leaf {
    Keep,
    Null,
    Constant {
        /// A JSON string.
        quoted: Box<str>,
        /// The same as a number or boolean, where it is one.
        bare: Option<Box<str>>,
    },
    Rule(Box<RuledLeaf>),
}

/// One op for each kind of leaf the path may hold.
struct RuledLeaf {
    text: Op,
    number: Op,
}

impl Json {
    pub(super) fn build(
        paths: &BTreeMap<String, Rule>,
        unknown: UnknownPath,
        domain: &str,
        key: &RootKey,
    ) -> Result<Self, BuildError> {
        let fill = Fill { key: key.domain(domain), ignore_case: false };
        let digits = Rule::plain(Transform::Digits);
        let shape = Shape { kind: Kind::Numeric, max_chars: None, unique: false };
        let long = Box::new(Op::build(&digits, &shape, key)?);
        let mut json = Self { nodes: vec![Node::default()], unknown, fill, long };
        for (text, rule) in paths {
            let refuse = |why: String| BuildError::Path { path: text.clone(), why };
            let steps = path::parse(text).map_err(refuse)?;
            let node = json.node(&steps);
            let leaf = Leaf::build(rule, key).map_err(|error| refuse(error.to_string()))?;
            if let Some(node) = json.nodes.get_mut(node)
                && node.leaf.replace(leaf).is_some()
            {
                return Err(refuse("is written twice".into()));
            }
        }
        Ok(json)
    }

    /// The node at the end of the steps, made where it is missing.
    fn node(&mut self, steps: &[Step]) -> usize {
        let mut at = 0;
        for step in steps {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            at = match step {
                Step::Key(key) => {
                    let known = node.keys.iter().find(|(known, _)| **known == **key);
                    let child = known.map_or(fresh, |(_, child)| *child);
                    if child == fresh {
                        node.keys.push((key.clone(), fresh));
                    }
                    child
                }
                Step::Elements => *node.elements.get_or_insert(fresh),
            };
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        at
    }

    pub(super) fn apply(
        &self,
        value: Value<'_>,
        subject: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Output, Fault> {
        match value {
            Value::Json(text) => rewrite::document(self, text, subject, out),
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => {
                let start = out.len();
                match rewrite::document(self, text, subject, out) {
                    Err(Fault::Malformed) => {
                        out.truncate(start);
                        Ok(self.fill.text(text, out))
                    }
                    done => done,
                }
            }
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Bytes(_)
            | Value::Inet(..)
            | Value::Mac(_) => Err(Fault::WrongKind),
        }
    }
}

impl Leaf {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other transform masks leaves")]
    fn build(rule: &Rule, key: &RootKey) -> Result<Self, BuildError> {
        let shape = |kind| Shape { kind, max_chars: None, unique: false };
        match &rule.transform {
            Transform::Keep => Ok(Self::Keep),
            Transform::Null => Ok(Self::Null),
            Transform::Constant { value } => {
                let mut quoted = vec![b'"'];
                spelling::push_escaped(value.as_bytes(), &mut quoted);
                quoted.push(b'"');
                let quoted = String::from_utf8_lossy(&quoted).into();
                let is_bare = !value.starts_with(['{', '[', '"']) && value != "null";
                let bare = (is_bare && is_valid(value)).then(|| value.trim().into());
                Ok(Self::Constant { quoted, bare })
            }
            Transform::Json { .. } => Err(BuildError::Nested),
            transform => {
                let domain = Some(rule.domain().to_owned());
                let or = |kind: Kind, fallback| {
                    let transform =
                        if accepts(transform, &kind) { transform.clone() } else { fallback };
                    Op::build(&Rule { transform, domain: domain.clone() }, &shape(kind), key)
                };
                Ok(Self::Rule(Box::new(RuledLeaf {
                    text: or(Kind::Text, Transform::TextFill)?,
                    number: or(Kind::Numeric, Transform::Digits)?,
                })))
            }
        }
    }
}
