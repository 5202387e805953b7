//! Patterns: names with `{tenant}` or `*` inside their labels.
//!
//! A pattern is compared label by label with a name of the same number of labels. `{tenant}` and
//! `*` each stand for one or more of `[a-z0-9-]` within one label; each takes as much as it can,
//! the leftmost first. The last two labels are literal, and the literal labels at the end are the
//! key under which the index keeps the pattern.

use std::ops::Range;

use super::name::LABEL_LENGTH_MAX;

/// What captures the tenant.
pub const TENANT: &str = "{tenant}";

/// A pattern that can be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The labels left of the literal suffix, from the right.
    labels: Box<[Box<[Piece]>]>,
    /// The literal labels at the end, without a leading dot.
    suffix: Box<str>,
    /// Characters other than `{tenant}` and `*`, dots included.
    literals: u16,
}

/// A part of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    Any,
    Tenant,
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

impl Pattern {
    /// Reads a pattern as it stands in a signature file.
    ///
    /// # Errors
    /// What keeps the text from being a pattern.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        if tenant_count(text) > 1 {
            return Err(PatternError::TwoTenants);
        }
        let mut labels = Vec::new();
        for label in text.split('.') {
            labels.push(parse_label(label)?);
        }
        let literal_labels = labels.iter().rev().take_while(|pieces| is_literal(pieces)).count();
        if literal_labels == labels.len() {
            return Err(PatternError::NoWildcard);
        }
        if literal_labels < 2 {
            return Err(PatternError::SuffixNotLiteral);
        }
        let suffix_start =
            text.rmatch_indices('.').nth(literal_labels - 1).map_or(0, |(dot, _)| dot + 1);
        labels.truncate(labels.len() - literal_labels);
        labels.reverse();
        Ok(Pattern {
            labels: labels.into(),
            suffix: text[suffix_start..].into(),
            literals: literal_count(text),
        })
    }

    /// The literal labels at the end, without a leading dot.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// Characters other than `{tenant}` and `*`, dots included: the pattern's weight.
    pub fn literals(&self) -> u16 {
        self.literals
    }

    /// Whether `{tenant}` is a whole label, directly left of the literal suffix or further left.
    pub fn tenant_is_a_label(&self) -> bool {
        self.labels.iter().any(|pieces| matches!(**pieces, [Piece::Tenant]))
    }

    /// How many labels stand left of the literal suffix.
    pub fn open_labels(&self) -> usize {
        self.labels.len()
    }

    /// Compares with what stands left of the suffix and its dot; answers where in `head` the
    /// tenant is (an empty range for a pattern without one).
    #[inline]
    pub fn match_head(&self, head: &str) -> Option<Range<usize>> {
        let bytes = head.as_bytes();
        let mut end = bytes.len();
        let mut tenant = 0..0;
        for (number, pieces) in self.labels.iter().enumerate() {
            let start =
                bytes[..end].iter().rposition(|&byte| byte == b'.').map_or(0, |dot| dot + 1);
            let found = match_label(pieces, &bytes[start..end])?;
            if !found.is_empty() {
                tenant = start + found.start..start + found.end;
            }
            let is_last = number + 1 == self.labels.len();
            if is_last != (start == 0) {
                return None;
            }
            end = start.saturating_sub(1);
        }
        Some(tenant)
    }

    /// Whether some name matches both patterns.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let (mine, theirs) = (self.all_labels(), other.all_labels());
        mine.len() == theirs.len()
            && mine.iter().zip(&theirs).all(|(left, right)| labels_overlap(left, right))
    }

    /// Every label, from the right, the literal ones included.
    fn all_labels(&self) -> Vec<Box<[Piece]>> {
        let literal = self
            .suffix
            .rsplit('.')
            .map(|label| Box::from([Piece::Literal(label.as_bytes().into())]) as Box<[Piece]>);
        literal.chain(self.labels.iter().cloned()).collect()
    }
}

/// Characters of a rule's text other than `{tenant}` and `*`, dots included.
pub(crate) fn literal_count(text: &str) -> u16 {
    let stars = text.bytes().filter(|&byte| byte == b'*').count();
    (text.len() - stars - tenant_count(text) * TENANT.len()) as u16
}

/// How often `{tenant}` stands in a text. Compared at every place: a searcher costs more to make than
/// so short a text to read.
fn tenant_count(text: &str) -> usize {
    text.as_bytes().windows(TENANT.len()).filter(|part| *part == TENANT.as_bytes()).count()
}

fn parse_label(label: &str) -> Result<Box<[Piece]>, PatternError> {
    if label.is_empty() || literal_count(label) as usize > LABEL_LENGTH_MAX {
        return Err(PatternError::Character);
    }
    let mut pieces = Vec::new();
    let mut rest = label;
    while !rest.is_empty() {
        let piece = if let Some(after) = rest.strip_prefix(TENANT) {
            rest = after;
            Piece::Tenant
        } else if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            Piece::Any
        } else {
            let length = rest.bytes().take_while(|&byte| is_tenant_byte(byte)).count();
            if length == 0 {
                return Err(PatternError::Character);
            }
            let (literal, after) = rest.split_at(length);
            rest = after;
            Piece::Literal(literal.as_bytes().into())
        };
        let is_wildcard = |piece: &Piece| !matches!(piece, Piece::Literal(_));
        if is_wildcard(&piece) && pieces.last().is_some_and(is_wildcard) {
            return Err(PatternError::WildcardsTouch);
        }
        pieces.push(piece);
    }
    Ok(pieces.into())
}

fn is_literal(pieces: &[Piece]) -> bool {
    matches!(pieces, [Piece::Literal(_)])
}

/// What a wildcard may stand for.
#[inline]
fn is_tenant_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

/// Compares one label; answers where the tenant is, an empty range if the label has none.
fn match_label(pieces: &[Piece], label: &[u8]) -> Option<Range<usize>> {
    match_pieces(pieces, label, 0)
}

fn match_pieces(pieces: &[Piece], label: &[u8], from: usize) -> Option<Range<usize>> {
    let Some((piece, rest)) = pieces.split_first() else {
        return (from == label.len()).then_some(0..0);
    };
    let left = &label[from..];
    if let Piece::Literal(literal) = piece {
        return left
            .starts_with(literal)
            .then(|| match_pieces(rest, label, from + literal.len()))?;
    }
    let most = left.iter().take_while(|&&byte| is_tenant_byte(byte)).count();
    for length in (1..=most).rev() {
        if let Some(tenant) = match_pieces(rest, label, from + length) {
            let is_tenant = *piece == Piece::Tenant;
            return Some(if is_tenant { from..from + length } else { tenant });
        }
    }
    None
}

/// Whether some label matches both: each side is a sequence of literal bytes and of wildcards
/// that take one or more bytes.
fn labels_overlap(left: &[Piece], right: &[Piece]) -> bool {
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

fn tokens(pieces: &[Piece]) -> Vec<Token> {
    let mut tokens = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => tokens.extend(literal.iter().map(|&byte| Token::Byte(byte))),
            Piece::Any | Piece::Tenant => tokens.extend([Token::One, Token::More]),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(pattern: &str, head: &str) -> Option<String> {
        let range = Pattern::parse(pattern).unwrap().match_head(head)?;
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
