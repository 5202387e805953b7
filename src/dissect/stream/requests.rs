//! Requests of HTTP/1 in a stream: their heads, and what they say of where the next one begins.

use memchr::memchr;

use super::{Emit, LINES_MAX, SideStream, State, Step};
use crate::dissect::Finding;
use crate::dissect::http::{self, Body, Head};
use crate::dissect::http_long::{HEAD_LENGTH_MAX, Line};
use crate::stats::Counter;

/// The longest line with the size of a chunk.
pub(super) const CHUNK_LINE_LENGTH_MAX: usize = 1024;

impl SideStream {
    /// A request whose first line is there.
    pub(super) fn request(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        let length = http::head_length(bytes, self.scanned as usize);
        let Some(length) = length.filter(|&length| length <= HEAD_LENGTH_MAX) else {
            if bytes.len() > HEAD_LENGTH_MAX {
                return self.long_head(bytes, emit);
            }
            self.scanned = bytes.len() as u32;
            return Step::Wait(bytes.len() + 1);
        };
        let Some(head) = bytes.get(..length).and_then(http::head_of) else {
            emit(Finding::Refused(Counter::HttpMalformed));
            return Step::Done;
        };
        self.behind_head(head, length, emit)
    }

    /// A head of which not all can be kept: however much of it came at once, it is read by lines.
    pub(super) fn long_head(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        self.state = State::LongHead(Box::default());
        self.scanned = 0;
        self.step(bytes, emit)
    }

    /// A line of such a head.
    pub(super) fn long_head_line(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        let State::LongHead(head) = &mut self.state else { return Step::Done };
        match head.line(bytes, self.scanned as usize) {
            Line::Consumed(length) => Step::Consumed(length as u64),
            Line::Incomplete => {
                self.scanned = bytes.len() as u32;
                Step::Wait(bytes.len() + 1)
            }
            Line::End(length) => {
                let head = head.finish();
                self.behind_head(head, length, emit)
            }
        }
    }

    /// The end of such a head does not come: tells what its lines so far have told.
    pub(super) fn finish_long_head(&mut self, emit: &mut Emit<'_>) {
        let State::LongHead(head) = &mut self.state else { return };
        let head = head.finish();
        if head.request.host.is_some() || head.request.authority.is_some() {
            emit_head(head, emit);
        }
        self.state = State::Done;
    }

    /// What follows a head of this length.
    fn behind_head(&mut self, head: Head, length: usize, emit: &mut Emit<'_>) -> Step {
        let body = head.body;
        emit_head(head, emit);
        self.lines_left = LINES_MAX;
        let body_length = match body {
            Body::Tunnel => return self.begin_anew(State::Anew, length),
            Body::Unknown => return Step::Done,
            Body::Length(body_length) => {
                self.state = State::NextRequest;
                body_length
            }
            Body::Expected(body_length) => {
                self.state = State::Expected(body_length);
                0
            }
            Body::Chunked => {
                self.state = State::ChunkSize;
                0
            }
        };
        Step::Consumed(body_length.saturating_add(length as u64))
    }

    /// A body that was announced, unless a request begins where it would.
    pub(super) fn expected(&mut self, length: u64, bytes: &[u8], emit: &mut Emit<'_>) -> Step {
        if bytes.len() < http::KNOWN_METHOD_LENGTH_MAX + 1 {
            return Step::Wait(http::KNOWN_METHOD_LENGTH_MAX + 1);
        }
        let is_request = match memchr(b'\n', bytes) {
            _ if !http::begins_with_method(bytes) => Some(false),
            // However much of it came at once.
            Some(end) if end <= HEAD_LENGTH_MAX => http::begins_request(bytes, end),
            _ if bytes.len() > HEAD_LENGTH_MAX => Some(false),
            _ => None,
        };
        self.state = match is_request {
            None => return Step::Wait(bytes.len() + 1),
            Some(_) => State::NextRequest,
        };
        self.scanned = 0;
        if is_request == Some(true) { self.step(bytes, emit) } else { Step::Consumed(length) }
    }

    pub(super) fn chunk_size(&mut self, bytes: &[u8]) -> Step {
        let Some(end) = memchr(b'\n', bytes) else {
            let fits = bytes.len() <= CHUNK_LINE_LENGTH_MAX;
            return if fits { Step::Wait(bytes.len() + 1) } else { Step::Done };
        };
        if end > CHUNK_LINE_LENGTH_MAX {
            return Step::Done; // However much of it came at once.
        }
        let line = http::without_return(bytes.get(..end).unwrap_or_default());
        let with_end = end as u64 + 1;
        match http::chunk_size(line) {
            Some(0) => {
                self.state = State::Trailer;
                Step::Consumed(with_end)
            }
            Some(size) => Step::Consumed(size.saturating_add(with_end + b"\r\n".len() as u64)),
            None => Step::Done,
        }
    }

    pub(super) fn trailer(&mut self, bytes: &[u8]) -> Step {
        let Some(end) = memchr(b'\n', bytes) else { return Step::Wait(bytes.len() + 1) };
        if http::without_return(bytes.get(..end).unwrap_or_default()).is_empty() {
            self.state = State::NextRequest;
        }
        Step::Consumed(end as u64 + 1)
    }
}

pub(super) fn emit_head(head: Head, emit: &mut Emit<'_>) {
    if head.bad_name {
        emit(Finding::Refused(Counter::HttpBadName));
    }
    emit(Finding::Request(head.request));
    if let Some(protocol) = head.tunnel {
        emit(Finding::Tunnel { protocol, by_client: true });
    } else if let Some(protocol) = head.upgrade {
        emit(Finding::UpgradeAsked(protocol));
    }
}
