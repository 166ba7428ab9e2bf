//! Addresses of machines, URLs, user agents, UUIDs.

use std::net::IpAddr;

/// IPv4 or IPv6, perhaps with a prefix length; not a version number such as `1.2.3.4`-less ones.
pub fn is_ip(text: &str) -> bool {
    let text = text.trim();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|length| length <= most))
}

/// Six or eight octets with colons or dashes, or Cisco's three groups of four.
pub fn is_mac(text: &str) -> bool {
    let text = text.trim();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    [':', '-'].iter().any(|separator| {
        let parts: Vec<&str> = text.split(*separator).collect();
        matches!(parts.len(), 6 | 8) && parts.iter().all(|part| hex(part, 2))
    }) || {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| hex(part, 4))
    }
}

/// A scheme, `://` and a host.
pub fn is_url(text: &str) -> bool {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let scheme_ok = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.len() <= 20
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    scheme_ok && !rest.is_empty() && !text.contains(char::is_whitespace)
}

/// `Mozilla/5.0 …` or `product/version`.
pub fn is_user_agent(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let Some((product, version)) = first.split_once('/') else { return false };
    let known =
        ["Mozilla", "Opera", "curl", "Dalvik", "okhttp", "PostmanRuntime", "python-requests"];
    known.contains(&product)
        || (product.starts_with(|first: char| first.is_ascii_alphabetic())
            && product.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && version.starts_with(|first: char| first.is_ascii_digit())
            && version.contains('.')
            && text.contains(' '))
}

/// 8-4-4-4-12 hex digits, perhaps in braces.
pub fn is_uuid(text: &str) -> bool {
    let text = text.trim().trim_start_matches('{').trim_end_matches('}');
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| {
            part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}
