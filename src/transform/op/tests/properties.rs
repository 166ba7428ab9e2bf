use super::super::json::is_data_key;
use super::*;
use crate::transform::UnknownPath;
use proptest::prelude::*;

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec(("[ab]|\\PC*", inner), 0..5)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The same, with every leaf replaced by its kind.
fn skeleton(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(items) => items.iter().map(skeleton).collect(),
        serde_json::Value::Object(fields) => {
            // Keys that are data are filled; all others are the structure.
            let fields = fields.iter().filter(|(key, _)| !is_data_key(key.as_bytes()));
            fields.map(|(key, value)| (key.clone(), skeleton(value))).collect()
        }
        serde_json::Value::String(_) => "s".into(),
        serde_json::Value::Number(_) => 1.into(),
        serde_json::Value::Bool(_) | serde_json::Value::Null => value.clone(),
    }
}

proptest! {
    #[test]
    fn any_text_gives_a_fitting_repeatable_utf8_fake(value in any::<String>(), max_chars in 1_u32..80) {
        let value: String = value.chars().take(max_chars as usize).collect();
        for transform in text_transforms() {
            if matches!(transform, Transform::HashToken { length } if length > max_chars) {
                continue;
            }
            let op = short(transform.clone(), max_chars);
            let fake = text(&op, &value);
            prop_assert!(fake.chars().count() <= max_chars as usize, "{transform:?}: {fake}");
            prop_assert_eq!(&fake, &text(&op, &value));
            prop_assert_eq!(fake.is_empty(), value.is_empty());
        }
    }

    #[test]
    fn a_fill_replaces_every_letter_and_digit(value in any::<String>()) {
        let op = op(Transform::TextFill, Kind::Text);
        let fake = text(&op, &value);
        prop_assert_eq!(fake.len(), value.len());
        for (before, after) in value.chars().zip(fake.chars()) {
            prop_assert_eq!(before.len_utf8(), after.len_utf8());
            if before.is_alphanumeric() {
                prop_assert!(after.is_alphanumeric() && before != after, "{before:?} {after:?}");
            } else {
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn alnum_keeps_every_other_character(value in "[a-zA-Z0-9äж /-]{0,60}") {
        let op = op(Transform::Alnum, Kind::Text);
        let fake = text(&op, &value);
        for (before, after) in value.chars().zip(fake.chars()) {
            prop_assert_eq!(before.is_alphanumeric(), after.is_alphanumeric());
            prop_assert_eq!(before.is_uppercase(), after.is_uppercase());
            prop_assert_eq!(before.is_numeric(), after.is_numeric());
        }
    }

    #[test]
    fn json_stays_json_of_the_same_structure(value in json_value(), pretty in any::<bool>()) {
        let document = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let document = document.unwrap();
        let paths = [("$.a", Transform::TextFill), ("$.b[*].a", Transform::Alnum)];
        let paths = paths.map(|(path, transform)| (path.to_owned(), Rule::plain(transform))).into();
        let op = op(Transform::Json { paths, unknown: UnknownPath::Fill }, Kind::Jsonb);
        let fake: serde_json::Value = serde_json::from_str(&json(&op, &document).unwrap()).unwrap();
        prop_assert_eq!(skeleton(&fake), skeleton(&value));
        let kept = super::op(Transform::Json { paths: [].into(), unknown: UnknownPath::Keep }, Kind::Json);
        prop_assert_eq!(json(&kept, &document).unwrap(), document);
    }

    #[test]
    fn broken_json_never_panics(value in "[\\[\\]{}\",:\\\\0-9eE+. tfnua-]{0,40}") {
        let op = op(Transform::Json { paths: [].into(), unknown: UnknownPath::Fill }, Kind::Json);
        let is_valid = serde_json::from_str::<serde::de::IgnoredAny>(&value).is_ok();
        if json(&op, &value).is_err() {
            prop_assert!(!is_valid, "{value}");
        }
    }

    #[test]
    fn any_number_survives_every_numeric_op(value in any::<i64>(), fraction in "[0-9]{0,30}[1-9]", float in any::<f64>()) {
        let decimal = format!("{value}.{fraction}");
        for transform in [
            Transform::Integer,
            Transform::Digits,
            Transform::NumberBucket { width: 7 },
            Transform::NumberNoise { percent: 30 },
        ] {
            let op = op(transform.clone(), Kind::Numeric);
            let fake = numeric(&op, &decimal);
            prop_assert!(fake.len() <= decimal.len() && fake.parse::<f64>().is_ok(), "{transform:?} {decimal} {fake}");
            int(&op, value);
            let _ = op.apply(Value::Float(float), None, &mut Vec::new());
        }
    }

    #[test]
    fn any_date_stays_in_range(day in any::<i32>(), micros in any::<i64>(), max_days in 1_u32..1_000_000) {
        for transform in [
            Transform::DateShift { max_days, subject: None },
            Transform::DateBucket { unit: crate::transform::DateUnit::Decade },
        ] {
            let op = op(transform, Kind::Date);
            let _ = op.apply(Value::Date(day), None, &mut Vec::new());
            let _ = op.apply(Value::Timestamp(micros), None, &mut Vec::new());
        }
    }

    #[test]
    fn bytes_are_filled_in_length(value in prop::collection::vec(any::<u8>(), 1..100)) {
        let op = op(Transform::TextFill, Kind::Bytea);
        let mut out = Vec::new();
        prop_assert_eq!(op.apply(Value::Bytes(&value), None, &mut out), Ok(Output::Bytes));
        prop_assert_eq!(out.len(), value.len());
        prop_assert!(out.iter().zip(&value).all(|(fake, byte)| fake != byte));
    }
}
