use super::*;

type Check = fn(&str) -> bool;

/// (validator, valid values, invalid values)
type Case = (&'static str, Check, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "email",
        is_email,
        &["john@smith.com", "a.b+c@x-y.co.uk", "用户@例子.公司", " padded@example.org "],
        &[
            "john",
            "a@b",
            "a@@b.com",
            "a b@c.com",
            "@x.com",
            "a@x..com",
            "a@-x.com",
            "a@1.2.3.4",
            "x@y.z",
        ],
    ),
    (
        "ip",
        is_ip,
        &["192.168.0.1", "10.0.0.0/8", "2001:db8::1", "::1", "fe80::/10"],
        &["1.2.3", "256.1.1.1", "10.0.0.0/33", "abc", "1.2.3.4.5"],
    ),
    (
        "mac",
        is_mac,
        &["00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", "00:1a:2b:3c:4d:5e:6f:70"],
        &["00:1a:2b:3c:4d", "zz:1a:2b:3c:4d:5e", "12:30"],
    ),
    (
        "phone",
        is_phone,
        &["+1 (555) 010-4477", "030 1234567", "5551234", "+44 20 7946 0958 x12"],
        &["123", "1111111111", "2024-01-31", "call me", "12345678901234567"],
    ),
    (
        "phone like",
        is_phone_like,
        &["+15550104477", "(555) 010-4477", "01 23 45 67 89"],
        &["15550104477", "12345.6789012", "192.168.100.100", "123-45-6789", "4111 1111 1111 1111"],
    ),
    (
        "card",
        is_card,
        &[
            "4111111111111111",
            "5555 5555 5555 4444",
            "378282246310005",
            "6011111111111117",
            "2223003122003222",
        ],
        &["4111111111111112", "1234567812345670", "0000000000000000", "411111111111"],
    ),
    ("imei", is_imei, &["490154203237518"], &["490154203237519", "49015420323751"]),
    (
        "iban",
        is_iban,
        &[
            "DE89 3704 0044 0532 0130 00",
            "GB82WEST12345698765432",
            "FR1420041010050500013M02606",
            "NL91ABNA0417164300",
        ],
        &["DE89370400440532013001", "XX89370400440532013000", "GB82", "DE8937040044053201300"],
    ),
    ("bic", is_bic, &["DEUTDEFF", "DEUTDEFF500", "BOFAUS3N"], &["DEUTXXFF", "deutdeff", "DEUTDEF"]),
    ("aba", is_aba, &["021000021", "011401533"], &["021000022", "991000021", "02100002"]),
    (
        "wallet",
        is_wallet,
        &[
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        ],
        &["0x1234", "1234567890123456789012345678", "bc1"],
    ),
    (
        "ssn",
        is_ssn,
        &["123-45-6789", "123456789", "536 90 4399"],
        &[
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "123-00-6789",
            "123-45-0000",
            "078-05-1120",
            "111111111",
        ],
    ),
    ("ssn dashed", is_ssn_dashed, &["123-45-6789"], &["123456789", "12-345-6789"]),
    (
        "secret",
        is_secret,
        &[
            "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
            "-----BEGIN PRIVATE KEY-----",
            "AKIAIOSFODNN7EXAMPLE",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ],
        &[
            "active",
            "hello world this is a text",
            "d41d8cd98f00b204e9800998ecf8427e",
            "INV-2024-000123",
        ],
    ),
    (
        "digest",
        is_digest,
        &["d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
        &["d41d8cd98f00b204e9800998ecf8427", "zz1d8cd98f00b204e9800998ecf8427e"],
    ),
    (
        "url",
        is_url,
        &["https://example.com/a?b=c", "s3://bucket/key"],
        &["example.com", "a://", "see https://x.y here"],
    ),
    (
        "user agent",
        is_user_agent,
        &["Mozilla/5.0 (X11; Linux x86_64)", "curl/8.1.2", "MyApp/1.2.3 (iOS 17)"],
        &["application/json", "text/html", "a/b c"],
    ),
    (
        "uuid",
        is_uuid,
        &["123e4567-e89b-12d3-a456-426614174000", "{123E4567-E89B-12D3-A456-426614174000}"],
        &["123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g"],
    ),
    (
        "birth date",
        is_birth_date,
        &["1980-02-29", "31/12/1975", "12/31/1975", "1.2.1999", "1980-02-29T00:00:00Z"],
        &["1880-01-01", "1980-13-40", "12345", "1980-02", "10.0.0.1"],
    ),
    (
        "full name",
        is_full_name,
        &[
            "John Smith",
            "Dr. Maria Garcia",
            "Smith, John",
            "Jean-Pierre Dupont",
            "Ludwig van Beethoven",
        ],
        &["john smith", "Acme Corp", "John", "Premium Plan", "John 5", "New Server"],
    ),
    (
        "given name",
        is_given_name,
        &["Maria", "Anne Marie", "JOHN", "Jürgen"],
        &["Widget", "x9", "one two three four"],
    ),
    ("surname", is_surname, &["Smith", "García", "van der Müller"], &["Widget", "42"]),
    (
        "street",
        is_street,
        &[
            "12 Main Street",
            "Hauptstraße 5",
            "14 rue de la Paix",
            "PO Box 17",
            "Keizersgracht 1, Kerkstraat 9",
        ],
        &["Main Street", "12 monkeys", "Version 2"],
    ),
    ("city", is_city, &["Berlin", "São Paulo", "NEW YORK"], &["Widget", ""]),
    (
        "postal code",
        is_postal_code,
        &["90210", "90210-1234", "SW1A 1AA", "K1A 0B1", "1012 AB", "00-950"],
        &["1234", "ABC", "123456"],
    ),
    (
        "vin",
        is_vin,
        &["1M8GDM9AXKP042788", "1HGCM82633A004352"],
        &["1M8GDM9A0KP042788", "1HGCM82633A00435", "IHGCM82633A004352"],
    ),
    ("nhs", is_nhs, &["943 476 5919", "4505577104"], &["943 476 5918", "9434765"]),
    ("siren", is_siren, &["732829320"], &["732829321"]),
    ("siret", is_siret, &["73282932000074"], &["73282932000075"]),
    ("dni", is_dni, &["12345678Z", "X1234567L"], &["12345678A", "X1234567M", "1234567Z"]),
    ("pesel", is_pesel, &["44051401359"], &["44051401358", "44991401359"]),
    ("bsn", is_bsn, &["111222333", "123456782"], &["123456789", "12345678"]),
    ("cpf", is_cpf, &["529.982.247-25", "11144477735"], &["529.982.247-26", "11111111111"]),
    ("aadhaar", is_aadhaar, &["2341 2341 2346"], &["2341 2341 2347", "1341 2341 2346"]),
    ("nir", is_nir, &["255081416802538"], &["255081416802539", "355081416802538"]),
    ("npi", is_npi, &["1234567893"], &["1234567894", "3234567893"]),
    ("dea", is_dea, &["AB1234563"], &["AB1234564", "1B1234563"]),
];

#[test]
fn validators_tell_valid_values_from_invalid_ones() {
    for (name, check, valid, invalid) in CASES {
        for value in *valid {
            assert!(check(value), "{name}: {value} should be valid");
        }
        for value in *invalid {
            assert!(!check(value), "{name}: {value} should be invalid");
        }
    }
}

#[test]
fn validators_never_panic_on_odd_input() {
    let odd =
        ["", " ", "é", "\u{0}", "日本語テキスト", "-", "+", "@", "….", "€1,000", "ǅ", "0x", "🙂🙂"];
    for value in odd {
        for (_, check, _, _) in CASES {
            check(value);
        }
    }
}
