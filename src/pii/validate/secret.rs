//! Password hashes, tokens, keys; and digests, which are not secret.

/// Bits per character (Shannon) above which a long token is taken for random.
const RANDOM_BITS: f64 = 3.5;
const RANDOM_MIN_CHARS: usize = 20;

/// Prefixes of crypt(3) hashes, cloud keys and API tokens.
const PREFIXES: [&str; 36] = [
    "$2a$",
    "$2b$",
    "$2x$",
    "$2y$",
    "$argon2",
    "$scrypt$",
    "$pbkdf2",
    "$1$",
    "$5$",
    "$6$",
    "$y$",
    "pbkdf2_sha",
    "bcrypt",
    "argon2",
    "{SSHA",
    "{SHA",
    "SCRAM-SHA-256$",
    "scram-sha-256$",
    "-----BEGIN ",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "xoxb-",
    "xoxp-",
    "sk-",
    "SG.",
    "ssh-rsa ",
];

/// A shape that only secrets have, or a long random token.
pub fn is_secret(text: &str) -> bool {
    let text = text.trim();
    let prefixed =
        PREFIXES.iter().any(|prefix| text.starts_with(prefix) && text.len() >= prefix.len() + 8);
    prefixed || is_jwt(text) || is_random(text)
}

fn is_jwt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let base64 = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
    };
    parts.len() == 3 && text.starts_with("eyJ") && parts.iter().take(2).all(base64)
}

/// One word of mixed letters and digits with high entropy.
fn is_random(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=.".contains(&byte));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let lower = text.bytes().any(|byte| byte.is_ascii_lowercase());
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    word && text.len() >= RANDOM_MIN_CHARS
        && lower
        && upper
        && digits > 0
        && !text.contains("://")
        && text.matches(['-', '/', '.']).count() <= 1
        && entropy_bits(text) >= RANDOM_BITS
}

/// Shannon entropy in bits per character.
pub fn entropy_bits(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::<char, u32>::new();
    let mut total = 0_u32;
    for letter in text.chars() {
        *counts.entry(letter).or_default() += 1;
        total += 1;
    }
    counts
        .values()
        .map(|count| {
            let share = f64::from(*count) / f64::from(total);
            -share * share.log2()
        })
        .sum()
}

/// Hex of the length of MD5, SHA-1, SHA-256 or SHA-512.
pub fn is_digest(text: &str) -> bool {
    let text = text.trim();
    matches!(text.len(), 32 | 40 | 64 | 128) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
