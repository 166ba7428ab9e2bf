//! A mistake in a configuration file: where it is, what is wrong, what to do.
//!
//! Messages name tables, columns, rules and options. They never hold a value of a row.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// Line and column in a file, both from 1; 0 where there is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub file: String,
    /// From 1; 0 if the finding is about the catalog and has no place in the file.
    pub line: u32,
    pub column: u32,
    pub message: String,
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn error(file: &str, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, file, place, message.into())
    }

    pub fn warning(file: &str, place: Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, file, place, message.into())
    }

    fn new(severity: Severity, file: &str, place: Place, message: String) -> Self {
        let Place { line, column } = place;
        Self { severity, file: file.to_owned(), line, column, message, hint: None }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint if there is one to give.
    #[must_use]
    pub fn with_hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

/// `file:line:col: error: message`, and the hint on a line of its own.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The known name nearest to a mistyped one, if it is near enough to be meant.
pub fn suggest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let typed = typed.to_lowercase();
    let limit = (typed.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(&typed, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Damerau-Levenshtein distance (optimal string alignment) in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (row, from) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut right_before = None;
        for (at, to) in right.iter().copied().enumerate() {
            let get = |cells: &[usize], at: usize| cells.get(at).copied().unwrap_or(usize::MAX / 2);
            let replaced = get(&last, at) + usize::from(from != to);
            let mut best = replaced.min(get(&last, at + 1) + 1).min(get(&current, at) + 1);
            if at > 0 && left_before == Some(to) && right_before == Some(from) {
                best = best.min(get(&before_last, at - 1) + 1);
            }
            current.push(best);
            right_before = Some(to);
        }
        before_last = std::mem::replace(&mut last, current);
        left_before = Some(from);
    }
    last.last().copied().unwrap_or(0)
}
