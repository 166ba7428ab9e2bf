//! `$`-paths into JSON documents: `$.ip`, `$.contacts[*].email`, `$['odd key']`.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    Key(String),
    /// Every element of an array.
    Each,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    pub steps: Vec<PathStep>,
}

impl JsonPath {
    /// `None` if the text is not such a path. The document itself is `$`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        // Bounded: every turn consumes text.
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
        }
        Some(Self { steps })
    }
}

fn step(text: &str) -> Option<(PathStep, &str)> {
    if let Some(rest) = text.strip_prefix("[*]") {
        return Some((PathStep::Each, rest));
    }
    for (open, close) in [("['", "']"), ("[\"", "\"]")] {
        if let Some((key, after)) = text.strip_prefix(open).and_then(|rest| rest.split_once(close))
        {
            return (!key.is_empty()).then(|| (PathStep::Key(key.to_owned()), after));
        }
    }
    let rest = text.strip_prefix('.')?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, after) = rest.split_at_checked(end)?;
    let odd = |letter: char| letter.is_whitespace() || matches!(letter, ']' | '*' | '\'' | '"');
    (!key.is_empty() && !key.contains(odd)).then(|| (PathStep::Key(key.to_owned()), after))
}

#[cfg(test)]
mod tests {
    use super::{JsonPath, PathStep};

    #[test]
    fn a_path_is_keys_and_elements() {
        let path = JsonPath::parse("$.contacts[*].email").map(|path| path.steps);
        let key = |name: &str| PathStep::Key(name.to_owned());
        assert_eq!(path, Some(vec![key("contacts"), PathStep::Each, key("email")]));
        let odd = JsonPath::parse("$['odd.key'][\"b c\"]").map(|path| path.steps);
        assert_eq!(odd, Some(vec![key("odd.key"), key("b c")]));
        assert_eq!(JsonPath::parse("$").map(|path| path.steps), Some(vec![]));
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for text in ["", "ip", "$ip", "$.", "$..a", "$[0]", "$.a[", "$.a b", "$.*", "$['a"] {
            assert_eq!(JsonPath::parse(text), None, "{text}");
        }
    }
}
