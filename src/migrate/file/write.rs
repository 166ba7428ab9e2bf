//! Writes a migration in either form, as pgroll writes it: keys of YAML sorted, JSON indented by
//! two with what HTML minds escaped. Written files read back as the same migration.

use super::{Form, Migration, Mistake, read};
use serde_json::Value;

/// The content of a file that holds the migration. The name is the file's and not in it.
pub fn write(migration: &Migration, form: Form) -> String {
    let value = migration.to_value();
    match form {
        Form::Json => write_json(&value),
        Form::Yaml => {
            let mut text = String::new();
            write_map(&mut text, &value, 0);
            text
        }
    }
}

/// The file in today's form, or `None` if it is in it already. Comments are lost.
///
/// # Errors
/// As [`read`].
pub fn update(text: &str, file: &str) -> Result<Option<String>, Vec<Mistake>> {
    let file = read(text, file)?;
    Ok(file.is_old_form.then(|| write(&file.migration, file.form)))
}

fn write_json(value: &Value) -> String {
    let mut text = String::new();
    // None of these stands outside of a string.
    for letter in format!("{value:#}").chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.extend(letter_code(letter));
            }
            _ => text.push(letter),
        }
    }
    text.push('\n');
    text
}

/// Writes the entries of a map, each on a line that begins `indent` spaces in. The first one has
/// its spaces already.
fn write_map(out: &mut String, value: &Value, indent: usize) {
    let Value::Object(map) = value else { return };
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            push_spaces(out, indent);
        }
        // Indented by nothing: a key is no block.
        write_text(out, key, 0);
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                push_spaces(out, indent + 2);
                write_map(out, value, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                for item in items {
                    push_spaces(out, indent);
                    out.push_str("- ");
                    write_item(out, item, indent + 2);
                }
            }
            Value::Object(_)
            | Value::Array(_)
            | Value::String(_)
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Null => {
                out.push(' ');
                write_item(out, value, indent + 2);
            }
        }
    }
}

/// Writes what follows `- ` or `key: `, and ends its line.
fn write_item(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => return write_map(out, value, indent),
        Value::String(text) => write_text(out, text, indent),
        // Lists of lists are not in the format; JSON is YAML.
        Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Null => {
            out.push_str(&value.to_string());
        }
    }
    out.push('\n');
}

fn push_spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// Plain where YAML 1.1 reads a plain word as that very text; lines as a block.
fn write_text(out: &mut String, text: &str, indent: usize) {
    if text.chars().any(is_special) {
        return write_escaped(out, text);
    }
    if text.contains('\n') {
        // A block says how it is indented and how it ends by its own first and last lines.
        if text.starts_with(['\n', ' ']) || text.ends_with("\n\n") || indent == 0 {
            return write_escaped(out, text);
        }
        return write_block(out, text, indent);
    }
    if is_other_scalar(text) {
        write_escaped(out, text);
    } else if is_plain(text) {
        out.push_str(text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

fn write_block(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') { "|" } else { "|-" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            push_spaces(out, indent);
            out.push_str(line);
        }
    }
}

fn write_escaped(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // None of these is beyond the first plane.
            _ if is_special(letter) => out.extend(letter_code(letter)),
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// `\u0085`: the same in JSON and YAML.
fn letter_code(letter: char) -> impl Iterator<Item = char> {
    let digit = move |shift: u32| char::from_digit((u32::from(letter) >> shift) & 0xf, 16);
    ['\\', 'u'].into_iter().chain([12, 8, 4, 0].into_iter().filter_map(digit))
}

/// Not printable (YAML 1.1, 4.1), or a line break or indentation to some readers.
fn is_special(letter: char) -> bool {
    matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        || (letter.is_control() && letter != '\n')
}

/// Read as something else than a text by YAML 1.1, or by a reader that takes more for a number.
fn is_other_scalar(text: &str) -> bool {
    const WORDS: [&str; 17] = [
        "y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", "=", "<<", ".inf",
        "+.inf", "-.inf", ".nan", "",
    ];
    let may_be_number = text
        .starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text
            .chars()
            .all(|letter| letter.is_ascii_hexdigit() || "+-._: xXoOtTzZ".contains(letter));
    may_be_number || WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn is_plain(text: &str) -> bool {
    let is_led = text.starts_with(|first: char| "#,[]{}&*!|>'\"%@`".contains(first));
    let mut rest = text.chars();
    let first = rest.next();
    let is_indicator =
        matches!(first, Some('-' | '?' | ':')) && rest.next().is_none_or(|second| second == ' ');
    let is_marker = text.starts_with("---") || text.starts_with("...");
    let is_cut = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    let is_padded = text.starts_with(' ') || text.ends_with(' ');
    !(is_led || is_indicator || is_marker || is_cut || is_padded)
}
