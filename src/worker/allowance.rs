//! How much a worker may gather in one tick, in all its parts together.
//!
//! Merge takes the parts of a tick together, so that sending one early makes room in the worker and
//! none in the process. What a flood brings is therefore bounded by tick: in bytes, and beside that
//! in entries of what anybody can bring who makes up addresses and is never answered, so that there
//! is room left for flows that are. At a bound the bytes go to the books as they are, and the rest is
//! counted. Nothing here depends on the number of workers, nor on when a part is sent.

use super::part::{AnonymousSums, Answer, FlowStep};
use super::seen::Opening;
use crate::usage::{QuestionKey, Questions, Sums, UsageKey};

/// Bytes that a worker gathers in a tick.
pub const GATHERED_BYTES_MAX: usize = 48 << 20;
/// Sums in a tick of anonymous flows in which not both sides spoke.
pub const UNANSWERED_MAX: usize = 32_768;
/// Sums in a tick of questions to DNS.
pub const QUESTIONS_MAX: usize = 65_536;
/// TCP connections in a tick that addresses at home opened.
pub const OPENINGS_MAX: usize = 131_072;

/// Bytes of a sum's places in the index, half of which are empty.
const INDEX_BYTES: usize = 2 * (size_of::<u32>() + 1);
/// Bytes of a sum with them.
pub const ROW_BYTES: usize = size_of::<(UsageKey, Sums)>() + INDEX_BYTES;
/// The same of questions.
const QUESTION_BYTES: usize = size_of::<(QuestionKey, Questions)>() + INDEX_BYTES;

/// What is left of it in this tick.
pub(super) struct Allowance {
    bytes: usize,
    unanswered: usize,
    questions: usize,
    openings: usize,
}

impl Default for Allowance {
    /// That of a new tick.
    fn default() -> Allowance {
        Allowance {
            bytes: GATHERED_BYTES_MAX,
            unanswered: UNANSWERED_MAX,
            questions: QUESTIONS_MAX,
            openings: OPENINGS_MAX,
        }
    }
}

impl Allowance {
    /// Asks for room for sums of a named flow.
    pub(super) fn row(&mut self) -> bool {
        self.take(ROW_BYTES)
    }

    /// Asks for room for sums of questions for a name.
    pub(super) fn question(&mut self) -> bool {
        self.may_question() && self.take(QUESTION_BYTES) && one(&mut self.questions)
    }

    /// Whether [`Allowance::question`] may be asked with success.
    pub(super) fn may_question(&self) -> bool {
        self.questions > 0
    }

    /// Asks for room for sums of an anonymous flow; `answered`: both sides spoke in it.
    pub(super) fn anonymous(&mut self, answered: bool) -> bool {
        (answered || self.unanswered > 0)
            && self.take(size_of::<AnonymousSums>())
            && (answered || one(&mut self.unanswered))
    }

    /// Notes that an anonymous flow has ended: merge has to be told, room or not.
    pub(super) fn ended(&mut self) {
        self.bytes = self.bytes.saturating_sub(size_of::<AnonymousSums>());
    }

    /// Asks for room for what a flow did.
    pub(super) fn step(&mut self) -> bool {
        self.take(size_of::<FlowStep>())
    }

    /// Asks for room for so many bytes of what clients and devices tell of themselves.
    pub(super) fn hint(&mut self, bytes: usize) -> bool {
        self.take(bytes)
    }

    /// Asks for room for an answer of DNS.
    pub(super) fn answer(&mut self) -> bool {
        self.take(size_of::<Answer>())
    }

    /// Asks for room for a connection that was opened.
    pub(super) fn opening(&mut self) -> bool {
        self.openings > 0 && self.take(size_of::<Opening>()) && one(&mut self.openings)
    }

    fn take(&mut self, bytes: usize) -> bool {
        one_of(&mut self.bytes, bytes)
    }
}

fn one(left: &mut usize) -> bool {
    one_of(left, 1)
}

fn one_of(left: &mut usize, wanted: usize) -> bool {
    match left.checked_sub(wanted) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_answers_leaves_room_for_what_is() {
        let mut allowance = Allowance::default();
        let unanswered = (0..2 * UNANSWERED_MAX).filter(|_| allowance.anonymous(false)).count();
        let questions = (0..2 * QUESTIONS_MAX).filter(|_| allowance.question()).count();
        let openings = (0..2 * OPENINGS_MAX).filter(|_| allowance.opening()).count();
        assert_eq!(
            (unanswered, questions, openings),
            (UNANSWERED_MAX, QUESTIONS_MAX, OPENINGS_MAX)
        );
        let answered = (0..10_000).filter(|_| allowance.anonymous(true)).count();
        let rows = (0..10_000).filter(|_| allowance.row() && allowance.step()).count();
        assert_eq!((answered, rows), (10_000, 10_000));
    }

    #[test]
    fn bytes_are_bounded_whatever_they_are_of() {
        let mut allowance = Allowance::default();
        while allowance.anonymous(true) {}
        let left = allowance.bytes;
        assert!(left < size_of::<AnonymousSums>());
        // Ends are told all the same.
        allowance.ended();
        assert_eq!(allowance.bytes, 0);
        assert!(!allowance.row() && !allowance.step() && !allowance.answer());
        assert!(!allowance.question() && allowance.questions == QUESTIONS_MAX);
    }
}
