//! The history on the server beside the files of a directory.

use super::RollError;
use crate::state::roll::{Kind, Record};

/// Files that have not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Positions in the directory's list, in order.
    pub positions: Vec<usize>,
}

/// Which files of a directory, named in order, have still to run.
///
/// # Errors
/// [`RollError::OtherHistory`] if the history, as far as it goes, is not that of the directory.
pub fn pending(history: &[Record], files: &[&str]) -> Result<Pending, RollError> {
    let start = history.iter().rposition(|record| record.kind == Kind::Baseline);
    let (before, since) = history.split_at(start.unwrap_or(0));
    // What others did has no file, unless it was pulled; nor need a baseline have one.
    let mut expected = since
        .iter()
        .filter(|record| record.kind == Kind::File || files.contains(&record.name.as_str()))
        .peekable();
    let mut positions = Vec::new();
    for (at, file) in files.iter().enumerate() {
        if before.iter().any(|record| record.name == *file) {
            continue;
        }
        if expected.next_if(|record| record.name == *file).is_some() {
            continue;
        }
        if let Some(record) = expected.peek() {
            return Err(RollError::OtherHistory {
                there: record.name.clone(),
                here: (*file).to_owned(),
            });
        }
        positions.push(at);
    }
    match expected.find(|record| record.kind == Kind::File) {
        Some(record) => {
            Err(RollError::OtherHistory { there: record.name.clone(), here: "nothing".to_owned() })
        }
        None => Ok(Pending { positions }),
    }
}

/// The history from the last baseline on, with it.
pub fn since_baseline(history: &[Record]) -> &[Record] {
    let start = history.iter().rposition(|record| record.kind == Kind::Baseline).unwrap_or(0);
    history.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Pending, pending};
    use crate::roll::RollError;
    use crate::state::roll::{Kind, Record};

    fn record(name: &str, kind: Kind) -> Record {
        Record {
            name: name.to_owned(),
            migration: "{}".to_owned(),
            is_done: true,
            parent: None,
            kind,
            created_at: String::new(),
        }
    }

    fn positions(history: &[(&str, Kind)], files: &[&str]) -> Result<Vec<usize>, String> {
        let history = history.iter().map(|(name, kind)| record(name, *kind)).collect::<Vec<_>>();
        match pending(&history, files) {
            Ok(Pending { positions }) => Ok(positions),
            Err(RollError::OtherHistory { there, here }) => Err(format!("{there} {here}")),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn files_after_the_end_of_the_history_are_pending() {
        let history = [("01", Kind::File), ("01_x", Kind::Inferred), ("02", Kind::File)];
        assert_eq!(positions(&history, &["01", "02", "03", "04"]), Ok(vec![2, 3]));
        assert_eq!(positions(&history, &["01", "01_x", "02"]), Ok(vec![]));
        assert_eq!(positions(&[], &["01"]), Ok(vec![0]));
    }

    #[test]
    fn a_directory_with_another_history_is_refused() {
        let history = [("01", Kind::File), ("02", Kind::File)];
        assert_eq!(positions(&history, &["01", "03"]), Err("02 03".into()));
        assert_eq!(positions(&history, &["01"]), Err("02 nothing".into()));
        assert_eq!(positions(&history, &["02", "01"]), Err("01 02".into()));
    }

    #[test]
    fn what_lies_before_a_baseline_needs_no_file_and_does_not_run_again() {
        let history = [("01", Kind::File), ("02_base", Kind::Baseline), ("03", Kind::File)];
        assert_eq!(positions(&history, &["02_base", "03", "04"]), Ok(vec![2]));
        assert_eq!(positions(&history, &["01", "02_base", "03"]), Ok(vec![]));
        assert_eq!(positions(&history, &["03", "04"]), Ok(vec![1]));
        assert_eq!(positions(&history[..2], &["03"]), Ok(vec![0]));
    }
}
