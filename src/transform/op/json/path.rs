//! `$.contacts[*].email`, `$["first name"]`, `$`: the paths a json rule is written with.

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(Box<str>),
    /// Every element of an array.
    Elements,
}

/// The steps behind `$`.
pub(super) fn parse(path: &str) -> Result<Vec<Step>, String> {
    let mut rest = path.strip_prefix('$').ok_or("does not begin with $")?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[*]") {
            steps.push(Step::Elements);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            match key {
                "" => return Err("has an empty step".into()),
                "*" => return Err("has .*, which is not supported: name the keys".into()),
                key => steps.push(Step::Key(key.into())),
            }
            rest = after;
        } else {
            let (key, after) = quoted(rest).ok_or_else(|| {
                format!("goes on with `{rest}`; steps are .key, [\"key\"] and [*]")
            })?;
            steps.push(Step::Key(key.into()));
            rest = after;
        }
    }
    Ok(steps)
}

/// `["key"]` or `['key']`, without escapes.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let inner = rest.strip_prefix('[')?;
    let quote = inner.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inner = inner.strip_prefix(quote)?;
    let (key, after) = inner.split_once(quote)?;
    Some((key, after.strip_prefix(']')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_keys_and_arrays() {
        let key = |name: &str| Step::Key(name.into());
        assert_eq!(parse("$"), Ok(vec![]));
        assert_eq!(parse("$.a.b"), Ok(vec![key("a"), key("b")]));
        assert_eq!(parse("$.a[*].b"), Ok(vec![key("a"), Step::Elements, key("b")]));
        assert_eq!(parse("$['first name'][\"x.y\"]"), Ok(vec![key("first name"), key("x.y")]));
    }

    #[test]
    fn other_paths_are_refused() {
        for path in ["", "a.b", "$.", "$..a", "$.a[0]", "$.*", "$a", "$['a'"] {
            assert!(parse(path).is_err(), "{path}");
        }
    }
}
