//! Counters: whatever is lost, refused or bounded is counted under a name of a closed list.
//!
//! A worker owns its [`Counters`]; they travel in its parts and are added up in merge.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// Everything that is counted besides bytes and flows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub enum Counter {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Counter {
            /// Every counter, in the order of reports.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant,)+];

            /// The name in reports and metrics: lower case, underscores.
            pub fn name(self) -> &'static str {
                match self {
                    $(Counter::$variant => $name,)+
                }
            }

            /// What it counts, in a sentence.
            pub fn description(self) -> &'static str {
                match self {
                    $(Counter::$variant => concat!($($doc,)+).trim_ascii(),)+
                }
            }

            /// Whether it counts what a bound cost, so that results may depend on how the input
            /// was cut up. Its description says so first.
            pub fn is_bound(self) -> bool {
                self.description().starts_with("Bound:")
            }
        }
    };
}

counters! {
    /// Frames read.
    Packets => "packets",
    /// Frames whose capture is shorter than they were on the wire.
    SnapCut => "snap_cut",
    /// Undecodable: the frame ends inside a header.
    DecodeTruncated => "decode_truncated",
    /// Undecodable: a header contradicts itself (version, length).
    DecodeMalformed => "decode_malformed",
    /// Undecodable: more than four layers of encapsulation.
    DecodeTooDeep => "decode_too_deep",
    /// Undecodable: the link type is not one we read.
    DecodeLinkType => "decode_link_type",
    /// Undecodable: an encrypted 802.11 frame.
    DecodeEncrypted => "decode_encrypted",
    /// Copies of packets that a SPAN port shows twice, left out.
    Duplicate => "duplicate",
    /// Bound: flows and directions whose last packets were forgotten, so that copies may have passed.
    DuplicateForgotten => "duplicate_forgotten",
    /// Flows of packets behind IP Payload Compression that could not be inflated: another
    /// algorithm, damaged, cut, or more than 16 KiB.
    IpcompOpaque => "ipcomp_opaque",
    /// Later fragments whose first fragment never came.
    FragmentOrphan => "fragment_orphan",
    /// Bound: open datagrams evicted before all their fragments came.
    FragmentEvicted => "fragment_evicted",
    /// Bound: flows evicted before their time-out.
    FlowEvicted => "flow_evicted",
    /// Bound: flows that a dissector gave up on for too many bytes or holes.
    InspectionOverflow => "inspection_overflow",
    /// Flows that a dissector gave up on for too little in time.
    InspectionTimeout => "inspection_timeout",
    /// Bound: open inspections closed early for lack of memory.
    InspectionEvicted => "inspection_evicted",
    /// Bound: hostnames folded into their registrable domain.
    NameFolded => "name_folded",
    /// Bound: hostnames folded into "other".
    NameOther => "name_other",
    /// Bound: sums of named flows that found no room; their bytes are in `no_name`.
    UsageOverflow => "usage_overflow",
    /// Bound: DNS questions that found no room.
    QuestionDropped => "question_dropped",
    /// Bound: sums of anonymous flows that found no room, or no memory for a verdict on them.
    AnonymousOverflow => "anonymous_overflow",
    /// Bound: DNS answers dropped from a part.
    AnswerDropped => "answer_dropped",
    /// Bound: DNS names dropped from merge's memory.
    AnswerEvicted => "answer_evicted",
    /// Bound: names or forwarders that a flow's server may have had, left out of its candidates.
    CandidateDropped => "candidate_dropped",
    /// Bound: offers of Encrypted ClientHello forgotten.
    OfferEvicted => "offer_evicted",
    /// Bound: hints about clients and devices dropped from a part.
    HintDropped => "hint_dropped",
    /// Bound: clients folded into client "other".
    ClientFolded => "client_folded",
    /// Bound: unmatched names folded into their registrable domain or "other".
    UnmatchedFolded => "unmatched_folded",
    /// Bound: rules by which names were an app's, left out of what `why` tells of a day.
    PatternDropped => "pattern_dropped",
    /// Bound: rows of usage dropped while the disk refused them.
    RowDropped => "row_dropped",
    /// Commits that the disk refused; what they held went into a later one, but for `row_dropped`.
    CommitRefused => "commit_refused",
    /// Bound: beginnings of flows that could not wait for those before them.
    BeginningDropped => "beginning_dropped",
    /// Bound: what may have been the app of a call's media, left out.
    CallDropped => "call_dropped",
    /// Devices that ARP or DHCP showed and that had no traffic of any app, each once a day.
    DeviceSilent => "device_silent",
    /// Stamps more than a minute back or an hour ahead.
    TimeStep => "time_step",
    /// Bound: TCP bytes that had not come when no more could be kept behind them, given up.
    StreamGap => "stream_gap",
    /// Bound: TCP clients that said nothing for so long that later requests are not looked for.
    StreamLeft => "stream_left",
    /// TLS: a ClientHello that contradicts itself.
    TlsMalformed => "tls_malformed",
    /// TLS: hellos whose name is encrypted by the draft before ECH (ESNI).
    TlsEsni => "tls_esni",
    /// TLS: a server name that is no hostname.
    TlsBadName => "tls_bad_name",
    /// HTTP: a request line or header that cannot be read.
    HttpMalformed => "http_malformed",
    /// HTTP: a Host that is no hostname.
    HttpBadName => "http_bad_name",
    /// DNS: a message that cannot be read or is over a bound.
    DnsMalformed => "dns_malformed",
    /// DNS: a question name that is no hostname.
    DnsBadName => "dns_bad_name",
    /// QUIC: Initials that do not open with any known key.
    QuicUnopened => "quic_unopened",
    /// QUIC: frames that contradict themselves.
    QuicMalformed => "quic_malformed",
    /// Bound: flows with more Initials than are tried.
    QuicOverflow => "quic_overflow",
    /// Bound: flows that may be tunnels or media, for whose next packets nothing could be remembered.
    TunnelOverflow => "tunnel_overflow",
    /// A dissector panicked: one flow lost its name.
    DissectorPanic => "dissector_panic",
}

/// One value for each [`Counter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Counters {
        Counters([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// Adds one.
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `number`.
    #[inline]
    pub fn add(&mut self, counter: Counter, number: u64) {
        self.0[counter as usize] += number;
    }

    /// The value of one counter.
    pub fn value(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Counters) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Name and value of each counter, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|&counter| (counter, self.value(counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_tell_bounds_from_other_counters() {
        assert_eq!(Counter::Packets.description(), "Frames read.");
        assert!(!Counter::Packets.is_bound());
        assert!(Counter::FlowEvicted.is_bound());
    }
}
