use super::*;

#[test]
fn an_email_is_never_routable_and_keyed_by_its_folded_text() {
    let op = op(Transform::Email, Kind::Text);
    let fake = text(&op, "alice@gmail.com");
    assert!(["@example.com", "@example.net", "@example.org"].iter().any(|end| fake.ends_with(end)));
    assert_eq!(fake, text(&op, "  Alice@GMAIL.com "));
    assert_eq!(fake.split('@').next().unwrap().split('.').count(), 3);
}

#[test]
fn odd_emails_leak_nothing_and_stay_apart() {
    let op = op(Transform::Email, Kind::Text);
    let odd =
        ["john@smith.com", "jo@hnsmith.com", "用户@例子.公司", "alice@", "@", "x", " ", "ÄÖ@ü.de"];
    let fakes: std::collections::HashSet<String> = odd.iter().map(|odd| text(&op, odd)).collect();
    assert_eq!(fakes.len(), odd.len());
    assert!(fakes.iter().all(|fake| fake.is_ascii() && fake.contains("@example.")));
}

#[test]
fn emails_and_usernames_fit_short_columns() {
    for max_chars in 1..60 {
        for transform in [Transform::Email, Transform::Username] {
            let fake = text(&short(transform.clone(), max_chars), "alice.longname@example.com");
            let count = u32::try_from(fake.chars().count()).unwrap();
            assert!((1..=max_chars).contains(&count), "{transform:?} {max_chars}: {fake}");
        }
    }
}

#[test]
fn a_name_is_not_a_name_of_the_input() {
    let first = op(Transform::FirstName, Kind::Text);
    let last = op(Transform::LastName, Kind::Text);
    for name in crate::transform::dictionary::FIRST_NAMES.iter() {
        assert!(!text(&first, name).eq_ignore_ascii_case(name));
        assert!(!text(&first, &name.to_uppercase()).eq_ignore_ascii_case(name));
    }
    for name in crate::transform::dictionary::LAST_NAMES.iter() {
        assert!(!text(&last, name).eq_ignore_ascii_case(name));
    }
    let full = op(Transform::FullName, Kind::Text);
    assert!(text(&full, "Smith, John").contains(", "));
    assert_eq!(text(&full, "JOHN SMITH"), text(&full, "JOHN SMITH").to_uppercase());
}

#[test]
fn a_phone_keeps_its_shape_and_rings_nowhere() {
    let op = op(Transform::Phone, Kind::Text);
    let national = |fake: &str| -> String {
        let digits: String = fake.chars().filter(char::is_ascii_digit).collect();
        digits[digits.len() - 10..].to_owned()
    };
    let one = text(&op, "+1 (415) 867-5309");
    let two = text(&op, "415.867.5309");
    let three = text(&op, "4158675309 x12");
    assert_eq!(national(&one), national(&two));
    assert!(three.starts_with(&national(&two)) && three.contains(" x"), "{three}");
    assert!(one.starts_with("+1 (") && one.contains(") 555-01"), "{one}");
    let german = text(&op, "+49 30 901820");
    assert!(german.starts_with("+49 0") && german.len() == "+49 30 901820".len(), "{german}");
    assert!(text(&op, "+39 06 6982").starts_with("+39 2"));
    assert!(text(&op, "0049 30 901820").starts_with("0049 0"));
    assert!(text(&op, "867-5309").starts_with("555-01"));
    assert_ne!(text(&op, "ask Bob: 415 867 5309"), "ask Bob: 415 867 5309");
    assert!(!text(&op, "ask Bob: 415 867 5309").contains("Bob"));
    for short in ["1", "911", "0", "12345"] {
        assert_ne!(text(&op, short), short);
    }
}

#[test]
fn an_ssn_is_never_issued() {
    let op = op(Transform::Ssn, Kind::Text);
    for number in 0..20_000_u32 {
        let plain = format!("{:09}", number * 49_999);
        let dashed = format!("{}-{}-{}", &plain[..3], &plain[3..5], &plain[5..]);
        let fake = text(&op, &dashed);
        assert_eq!(fake.replace('-', ""), text(&op, &plain));
        let group: u32 = fake[4..6].parse().unwrap();
        assert!(fake.starts_with('9') && fake.len() == 11, "{fake}");
        assert!(matches!(group, 1..=49 | 66..=69 | 89), "{fake} may be an ITIN");
        assert_ne!(&fake[7..], "0000");
    }
    assert!(!text(&op, "078-05-112").contains("078"));
}

#[test]
fn a_card_passes_luhn_and_leads_with_a_test_issuer() {
    let op = op(Transform::Card, Kind::Text);
    for (card, issuer) in [
        ("4111 1111 1111 1111", "4000 00"),
        ("5500-0000-0000-0004", "5555-55"),
        ("340000000000009", "378282"),
        ("6011000000000004", "601111"),
    ] {
        let fake = text(&op, card);
        assert!(fake.starts_with(issuer), "{fake}");
        assert_eq!(fake.len(), card.len());
        let sum: u32 = fake
            .chars()
            .rev()
            .filter_map(|digit| digit.to_digit(10))
            .enumerate()
            .map(
                |(place, digit)| {
                    if place % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
                },
            )
            .sum();
        assert_eq!(sum % 10, 0, "{fake}");
    }
    assert_ne!(text(&op, "1234"), "1234");
}

#[test]
fn an_iban_keeps_country_and_spelling_and_its_check_digits_are_right() {
    let op = op(Transform::Iban, Kind::Text);
    for iban in
        ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "fr1420041010050500013m02606"]
    {
        let fake = text(&op, iban);
        assert_eq!(fake[..2], iban[..2]);
        assert_eq!(fake.len(), iban.len());
        assert_ne!(fake, iban);
        let bare = fake.replace(' ', "").to_uppercase();
        let rest = bare[4..].chars().chain(bare[..4].chars()).fold(0, |rest, digit| {
            let value = digit.to_digit(36).unwrap();
            (rest * if value > 9 { 100 } else { 10 } + value) % 97
        });
        assert_eq!(rest, 1, "{fake}");
    }
    assert_ne!(text(&op, "not an iban"), "not an iban");
}

#[test]
fn an_ip_leads_into_documentation_networks() {
    let op = op(Transform::Ip, Kind::Text);
    let nets = ["192.0.2.", "198.51.100.", "203.0.113."];
    for address in ["8.8.8.8", "10.0.0.1", "127.0.0.1", "192.0.2.7", "broken", "1.2.3.4:80"] {
        let fake = text(&op, address);
        assert!(nets.iter().any(|net| fake.starts_with(net)), "{fake}");
        assert_ne!(fake, address);
    }
    assert!(text(&op, "10.1.2.3/24").ends_with("/24"));
    assert!(text(&op, "2a00:1450:4001:800::200e").starts_with("2001:db8:"));
    let inet = super::op(Transform::Ip, Kind::Inet);
    let from_inet = inet.apply(Value::Inet("8.8.8.8".parse().unwrap(), 32), None, &mut Vec::new());
    assert_eq!(from_inet, Ok(Output::Inet(text(&op, "8.8.8.8").parse().unwrap(), 32)));
    let cidr = super::op(Transform::Ip, Kind::Cidr);
    let network = cidr.apply(Value::Inet("10.1.0.0".parse().unwrap(), 16), None, &mut Vec::new());
    let Ok(Output::Inet(std::net::IpAddr::V4(network), 16)) = network else { panic!() };
    assert_eq!(network.to_bits() & 0xffff, 0);
}

#[test]
fn a_mac_is_local_unicast_in_the_same_spelling() {
    let op = op(Transform::Mac, Kind::Text);
    let fake = text(&op, "08:00:2b:01:02:03");
    assert_eq!(fake.len(), 17);
    assert_eq!(u8::from_str_radix(&fake[..2], 16).unwrap() & 3, 2);
    assert_eq!(text(&op, "08-00-2B-01-02-03"), fake.replace(':', "-").to_uppercase());
    let mut out = Vec::new();
    let native = super::op(Transform::Mac, Kind::Macaddr);
    assert_eq!(native.apply(Value::Mac(&[8, 0, 0x2b, 1, 2, 3]), None, &mut out), Ok(Output::Bytes));
    assert_eq!(hex::encode(out), fake.replace(':', ""));
}

#[test]
fn a_url_keeps_structure_and_nothing_else() {
    let op = op(Transform::Url, Kind::Text);
    let fake =
        text(&op, "https://bob:pw@www.acme.com:8443/users/bob%20smith/photo.jpeg?user=bob&x#bob");
    assert!(fake.starts_with("https://") && fake.contains(".example.com:8443/"), "{fake}");
    assert!(fake.contains(".jpeg?user=") && fake.matches('/').count() == 5, "{fake}");
    assert!(!fake.contains("bob") && !fake.contains("acme"));
    let host = |url: &str| text(&op, url).split('/').nth(2).unwrap().to_owned();
    assert_eq!(host("http://acme.com/a"), host("http://ACME.com/b"));
    assert!(text(&op, "gopher://x").starts_with("https://"));
    assert!(!text(&op, "www.alice.com").contains("alice"));
    assert_ne!(text(&op, "not a url"), "not a url");
}

#[test]
fn a_fill_keeps_length_case_script_and_separators() {
    let op = op(Transform::TextFill, Kind::Text);
    let original =
        "Dear Mr. O'Neil,\r\n\tÄrger über Σίσυφος в Москве; 東京 タワー 🎉 call 555-0100!";
    let fake = text(&op, original);
    assert_eq!(fake.len(), original.len());
    for (before, after) in original.chars().zip(fake.chars()) {
        if before.is_alphanumeric() {
            assert_ne!(before, after);
            assert_eq!(before.is_uppercase(), after.is_uppercase(), "{before} {after}");
            assert_eq!(before.is_numeric(), after.is_numeric(), "{before} {after}");
        } else {
            assert_eq!(before, after);
        }
    }
    assert_ne!(text(&op, "abcdef")[..5], text(&op, "abcdeg")[..5], "keyed by the whole value");
}

#[test]
fn an_alnum_keeps_its_shape_and_citext_its_equality() {
    let op = op(Transform::Alnum, Kind::Text);
    let fake = text(&op, "AB-1234/x");
    assert!(fake[..2].bytes().all(|byte| byte.is_ascii_uppercase()));
    assert_eq!((&fake[2..3], &fake[7..8]), ("-", "/"));
    assert_eq!(text(&op, "ab-1234/X").to_lowercase(), fake.to_lowercase());
    let long = "ПриветAbcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOP";
    assert_eq!(text(&op, &long.to_lowercase()), text(&op, long).to_lowercase());
}

#[test]
fn equal_citexts_get_equal_fakes() {
    for transform in text_transforms() {
        if matches!(transform, Transform::Url | Transform::Json { .. }) {
            continue; // paths and documents are case-sensitive
        }
        let op = op(transform.clone(), Kind::Citext);
        for (one, two) in [("Bob Smith 7", "bOB sMITH 7"), ("ÉCOLE-9", "école-9")] {
            let (one, two) = (text(&op, one), text(&op, two));
            assert_eq!(one.to_lowercase(), two.to_lowercase(), "{transform:?}");
        }
    }
}

#[test]
fn an_empty_text_stays_empty() {
    for transform in text_transforms() {
        let op = op(transform, Kind::Text);
        assert_eq!(op.apply(Value::Text(""), None, &mut Vec::new()), Ok(Output::Same));
    }
}

#[test]
fn no_text_passes_through() {
    let values = [
        "Alice Example",
        "x7",
        "alice@",
        "用户@例子.公司",
        "+",
        "O'Neil",
        "不明",
        "n/a",
        "1990-13-77",
    ];
    for transform in text_transforms() {
        let op = op(transform.clone(), Kind::Text);
        for value in values.iter().filter(|value| value.chars().any(char::is_alphanumeric)) {
            let is_digits = transform == Transform::Digits
                && value.contains(|digit: char| digit.is_ascii_digit());
            let fake = text(&op, value);
            assert!(fake != *value || is_digits, "{transform:?} {value}");
        }
    }
}

#[test]
fn text_dates_move_like_dates() {
    let by_text = op(Transform::DateShift { max_days: 30, subject: None }, Kind::Text);
    let by_date = op(Transform::DateShift { max_days: 30, subject: None }, Kind::Date);
    let fake = text(&by_text, "2000-03-01T12:30:00Z");
    assert!(fake.ends_with("T12:30:00Z") && !fake.starts_with("2000-03-01"), "{fake}");
    let Ok(Output::Date(day)) = by_date.apply(Value::Date(60), None, &mut Vec::new()) else {
        panic!()
    };
    assert_eq!(crate::transform::op::date::parse_iso(&fake[..10]), Some(day.into()));
}
