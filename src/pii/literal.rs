//! Personal data in literals of a schema: defaults, comments, enum labels, view bodies.

use super::class::Class;
use super::entity;

/// Longest part of a literal that is searched, in bytes: a view body can be long.
const SCAN_MAX_BYTES: usize = 64 * 1024;

/// The class of the first e-mail address, telephone number, SSN, card number, IP address or IBAN
/// anywhere in the text.
pub fn scan_literal(text: &str) -> Option<Class> {
    let mut end = text.len().min(SCAN_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    entity::first_entity(text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::{Class, scan_literal};

    #[test]
    fn personal_data_is_found_anywhere_in_a_literal() {
        let cases = [
            ("'jane@corp.com'::text", Class::Email),
            ("ask jane.doe+x@corp.co.uk about it", Class::Email),
            ("call +1 (555) 010-4477 first", Class::Phone),
            ("WHERE ssn <> '123-45-6789'", Class::SsnUs),
            ("card 4111 1111 1111 1111.", Class::Card),
            ("('4111111111111111')", Class::Card),
            ("allow 192.168.17.4 only", Class::Ip),
            ("host 2001:db8:0:1::2", Class::Ip),
            ("pay to DE89 3704 0044 0532 0130 00 please", Class::Bank),
            ("GB82WEST12345698765432", Class::Bank),
        ];
        for (text, class) in cases {
            assert_eq!(scan_literal(text), Some(class), "{text}");
        }
    }

    #[test]
    fn plain_schema_text_is_not_personal() {
        for text in [
            "nextval('users_id_seq'::regclass)",
            "'pending'::text",
            "now()",
            "0.00",
            "'2024-01-31'::date",
            "CHECK (price > 0)",
            "'1970-01-01 00:00:00'::timestamp",
            "v1.2.3",
            "123456",
            "user@",
            "a @> b",
            "orders_20240131_1200",
            "00:00:00",
            "'{}'::jsonb",
            "123e4567-e89b-12d3-a456-426614174000",
            "numeric(10,2)",
        ] {
            assert_eq!(scan_literal(text), None, "{text}");
        }
    }
}
