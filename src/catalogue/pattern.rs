//! Patterns: names with `{tenant}` or `*` inside their labels.
//!
//! A pattern is compared label by label with a name of the same number of labels. `{tenant}` and
//! `*` each stand for one or more of `[a-z0-9-]` within one label; each takes as much as it can,
//! the leftmost first. The last two labels are literal, and the literal labels at the end are the
//! key under which the index keeps the pattern.

use std::ops::Range;

/// The longest label of a name (RFC 1035, 2.3.4).
pub(crate) const LABEL_LENGTH_MAX: usize = 63;

/// What captures the tenant.
pub const TENANT: &str = "{tenant}";

/// A pattern that can be matched: its text, of which every part was looked at once. It is compared as
/// it stands, since few of them are ever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<'t> {
    text: &'t str,
    /// Where the literal labels at the end begin, behind a dot.
    suffix: usize,
    /// Characters other than `{tenant}` and `*`, dots included.
    literals: u16,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Neither `{tenant}` nor `*`.
    #[error("it has neither {{tenant}} nor *: write it under `hosts` or `domains`")]
    NoWildcard,
    /// `{tenant}` stands twice.
    #[error("{{tenant}} stands in it more than once")]
    TwoTenants,
    /// One of the last two labels has a wildcard.
    #[error("its last two labels must be literal")]
    SuffixNotLiteral,
    /// A character that is neither of a hostname nor of a wildcard, an empty or over-long label.
    #[error("it has an empty label or a character other than a-z, 0-9, -, {{tenant}} and *")]
    Character,
    /// Two wildcards without a literal between them.
    #[error("two wildcards touch: where one ends and the other begins cannot be told")]
    WildcardsTouch,
}

impl<'t> Pattern<'t> {
    /// Reads a pattern as it stands in a signature file.
    ///
    /// # Errors
    /// What keeps the text from being a pattern.
    pub fn parse(text: &'t str) -> Result<Pattern<'t>, PatternError> {
        if tenant_count(text) > 1 {
            return Err(PatternError::TwoTenants);
        }
        let (mut start, mut suffix, mut literal_labels) = (0, 0, 0);
        for label in text.as_bytes().split(|&byte| byte == b'.') {
            start += label.len() + 1;
            if has_wildcard(label)? {
                (suffix, literal_labels) = (start, 0);
            } else {
                literal_labels += 1;
            }
        }
        if suffix == 0 {
            return Err(PatternError::NoWildcard);
        }
        if literal_labels < 2 {
            return Err(PatternError::SuffixNotLiteral);
        }
        Ok(Pattern { text, suffix, literals: literal_count(text) })
    }

    /// The literal labels at the end, without a leading dot.
    pub fn suffix(&self) -> &'t str {
        &self.text[self.suffix..]
    }

    /// Characters other than `{tenant}` and `*`, dots included: the pattern's weight.
    pub fn literals(&self) -> u16 {
        self.literals
    }

    /// Whether `{tenant}` is a whole label, directly left of the literal suffix or further left.
    pub fn tenant_is_a_label(&self) -> bool {
        self.head().split('.').any(|label| label == TENANT)
    }

    /// How many labels stand left of the literal suffix.
    pub fn open_labels(&self) -> usize {
        self.head().split('.').count()
    }

    /// What stands left of the literal suffix and its dot.
    pub(crate) fn head(&self) -> &'t str {
        &self.text[..self.suffix - 1]
    }

    /// Whether some name matches both patterns.
    pub fn overlaps(&self, other: &Pattern<'_>) -> bool {
        let (mine, theirs) = (self.text.split('.'), other.text.split('.'));
        mine.clone().count() == theirs.clone().count()
            && mine.zip(theirs).all(|(left, right)| labels_overlap(left, right))
    }
}

/// Compares a pattern's head with what stands left of the suffix and its dot in a name; answers where
/// in that the tenant is (an empty range for a pattern without one).
#[inline]
pub(crate) fn match_head(pattern: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let (mut end, mut pattern_end) = (name.len(), pattern.len());
    let mut tenant = 0..0;
    loop {
        let (start, pattern_start) = (last_label(name, end), last_label(pattern, pattern_end));
        let label = &name[start..end];
        let found = match_label(&pattern[pattern_start..pattern_end], label, 0)?;
        if !found.is_empty() {
            tenant = start + found.start..start + found.end;
        }
        if start == 0 || pattern_start == 0 {
            return (start == pattern_start).then_some(tenant);
        }
        (end, pattern_end) = (start - 1, pattern_start - 1);
    }
}

/// Characters of a rule's text other than `{tenant}` and `*`, dots included.
pub(crate) fn literal_count(text: &str) -> u16 {
    let stars = text.bytes().filter(|&byte| byte == b'*').count();
    (text.len() - stars - tenant_count(text) * TENANT.len()) as u16
}

/// How often `{tenant}` stands in a text.
fn tenant_count(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_tenant = |at: usize| bytes[at] == b'{' && wildcard_length(&bytes[at..]) > 0;
    (0..bytes.len()).filter(|&at| is_tenant(at)).count()
}

/// How long the wildcard is with which this part of a pattern begins; 0 for a literal.
#[inline]
fn wildcard_length(part: &[u8]) -> usize {
    match part.first() {
        Some(b'*') => 1,
        Some(b'{') if part.starts_with(TENANT.as_bytes()) => TENANT.len(),
        _ => 0,
    }
}

/// Whether a label of a pattern has a wildcard.
fn has_wildcard(label: &[u8]) -> Result<bool, PatternError> {
    let is_over_long = || {
        let text = std::str::from_utf8(label);
        text.is_ok_and(|text| usize::from(literal_count(text)) > LABEL_LENGTH_MAX)
    };
    if label.is_empty() || label.len() > LABEL_LENGTH_MAX && is_over_long() {
        return Err(PatternError::Character);
    }
    let (mut at, mut has_one, mut touches) = (0, false, false);
    while at < label.len() {
        let length = wildcard_length(&label[at..]);
        if length == 0 && !is_tenant_byte(label[at]) {
            return Err(PatternError::Character);
        }
        if length > 0 && touches {
            return Err(PatternError::WildcardsTouch);
        }
        touches = length > 0;
        has_one |= touches;
        at += length.max(1);
    }
    Ok(has_one)
}

/// Where the last label of `name[..end]` begins.
#[inline]
fn last_label(name: &[u8], end: usize) -> usize {
    name[..end].iter().rposition(|&byte| byte == b'.').map_or(0, |dot| dot + 1)
}

/// What a wildcard may stand for.
#[inline]
fn is_tenant_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

/// Compares what is left of one label; answers where the tenant is, an empty range if there is none.
fn match_label(pattern: &[u8], label: &[u8], from: usize) -> Option<Range<usize>> {
    let is_open = |byte: &u8| matches!(byte, b'*' | b'{');
    let literal = pattern.iter().position(is_open).unwrap_or(pattern.len());
    if !label[from..].starts_with(&pattern[..literal]) {
        return None;
    }
    let (pattern, from) = (&pattern[literal..], from + literal);
    let left = &label[from..];
    if pattern.is_empty() {
        return left.is_empty().then_some(0..0);
    }
    let rest = &pattern[wildcard_length(pattern)..];
    let most = left.iter().take_while(|&&byte| is_tenant_byte(byte)).count();
    for length in (1..=most).rev() {
        if let Some(tenant) = match_label(rest, label, from + length) {
            let is_tenant = pattern[0] == b'{';
            return Some(if is_tenant { from..from + length } else { tenant });
        }
    }
    None
}

/// Whether some label matches both: each side is a sequence of literal bytes and of wildcards
/// that take one or more bytes.
fn labels_overlap(left: &str, right: &str) -> bool {
    let (left, right) = (tokens(left), tokens(right));
    let width = right.len() + 1;
    let mut seen = vec![false; (left.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((l, r)) = open.pop() {
        if std::mem::replace(&mut seen[l * width + r], true) {
            continue;
        }
        if l == left.len() && r == right.len() {
            return true;
        }
        let (left_token, right_token) = (left.get(l), right.get(r));
        // A wildcard that has taken its byte may stand for nothing more ...
        if left_token == Some(&Token::More) {
            open.push((l + 1, r));
        }
        if right_token == Some(&Token::More) {
            open.push((l, r + 1));
        }
        // ... or both sides take the same byte.
        if let (Some(a), Some(b)) = (left_token, right_token)
            && a.shares_a_byte_with(b)
        {
            let next = |token: &Token, at: usize| if *token == Token::More { at } else { at + 1 };
            open.push((next(a, l), next(b, r)));
        }
    }
    false
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Exactly one byte of a wildcard.
    One,
    /// Any number of further bytes of a wildcard.
    More,
}

impl Token {
    fn shares_a_byte_with(&self, other: &Token) -> bool {
        match (self, other) {
            (Token::Byte(a), Token::Byte(b)) => a == b,
            _ => true,
        }
    }
}

fn tokens(label: &str) -> Vec<Token> {
    let label = label.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < label.len() {
        let length = wildcard_length(&label[at..]);
        match length {
            0 => tokens.push(Token::Byte(label[at])),
            _ => tokens.extend([Token::One, Token::More]),
        }
        at += length.max(1);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(pattern: &str, head: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let range = match_head(pattern.head().as_bytes(), head.as_bytes())?;
        Some(head[range].to_owned())
    }

    #[test]
    fn the_tenant_is_a_label_or_a_part_of_one() {
        assert_eq!(tenant("{tenant}.slack.com", "acme").as_deref(), Some("acme"));
        assert_eq!(tenant("{tenant}-my.sharepoint.com", "contoso-my").as_deref(), Some("contoso"));
        assert_eq!(tenant("{tenant}-my.sharepoint.com", "-my"), None);
        assert_eq!(tenant("{tenant}.slack.com", "a.b"), None);
        assert_eq!(tenant("{tenant}.*.example.com", "acme.eu").as_deref(), Some("acme"));
        assert_eq!(tenant("*.{tenant}.example.com", "eu.acme").as_deref(), Some("acme"));
        assert_eq!(tenant("{tenant}.*.example.com", "acme"), None);
        assert_eq!(tenant("eu-*.example.com", "eu-1").as_deref(), Some(""));
        assert_eq!(tenant("{tenant}.slack.com", "a_b"), None, "an underscore is no tenant's");
    }

    #[test]
    fn the_leftmost_wildcard_takes_most() {
        assert_eq!(tenant("{tenant}-*.example.com", "a-b-c").as_deref(), Some("a-b"));
        assert_eq!(tenant("*-{tenant}.example.com", "a-b-c").as_deref(), Some("c"));
    }

    #[test]
    fn suffix_and_weight_are_the_literal_part() {
        let pattern = Pattern::parse("{tenant}.execute-api.*.amazonaws.com").unwrap();
        assert_eq!(pattern.suffix(), "amazonaws.com");
        assert_eq!(usize::from(pattern.literals()), ".execute-api..amazonaws.com".len());
        assert_eq!(pattern.open_labels(), 3);
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("app.slack.com", PatternError::NoWildcard),
            ("{tenant}.{tenant}.slack.com", PatternError::TwoTenants),
            ("slack.*.com", PatternError::SuffixNotLiteral),
            ("*.com", PatternError::SuffixNotLiteral),
            ("{tenant}..slack.com", PatternError::Character),
            ("{Tenant}.slack.com", PatternError::Character),
            ("*{tenant}.slack.com", PatternError::WildcardsTouch),
        ] {
            assert_eq!(Pattern::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn overlap_means_that_a_name_matches_both() {
        let overlap = |a: &str, b: &str| {
            let (a, b) = (Pattern::parse(a).unwrap(), Pattern::parse(b).unwrap());
            assert_eq!(a.overlaps(&b), b.overlaps(&a));
            a.overlaps(&b)
        };
        assert!(overlap("{tenant}-my.example.com", "my-{tenant}.example.com"));
        assert!(overlap("a*.example.com", "*b.example.com"));
        assert!(!overlap("a-*.example.com", "b-*.example.com"));
        assert!(!overlap("*.example.com", "*.*.example.com"));
        assert!(!overlap("a*a.example.com", "*b.example.com"));
        assert!(overlap("*.eu.example.com", "acme.*.example.com"));
    }
}
