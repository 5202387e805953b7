//! shadowscope finds out from packets which cloud services are used: which app, by which client,
//! how much, since when.
//!
//! This page is the architecture's home. Where a change makes it untrue, the change includes this
//! page.
//!
//! # Four ideas that carry everything
//!
//! 1. **Share nothing.** A flow has one [`worker`], which owns its tables outright. Nothing on the
//!    packet path is locked or shared, and nothing is handed over packet by packet.
//! 2. **The core is a pure function of the capture.** Below the [`pipeline`] there is no clock,
//!    file, socket or thread; time is the packet's stamp. The same packets, configuration and
//!    catalogue give byte-identical reports for any number of workers. That holds for every run in
//!    which no bound was reached; the manifest of its report then says `"bounded": []`. A run that
//!    reached one lists which and how often, and its books still balance.
//! 3. **An app is data that tests itself**: one file below `signatures/`, with names that it must
//!    and must not match. See [`catalogue`].
//! 4. **What is lost is counted.** Every [`Counter`](stats::Counter) reaches the report. One that
//!    hides what it could not see would be a lie.
//!
//! # The picture
//!
//! ```text
//!  capture files ─▶ blocks ─▶ workers decode, then each takes its own flows ┐
//!                                                                           ├─▶ parts ─▶ merge ─▶ SQLite ─▶ reports
//!  interfaces ─▶ one ring a worker (the kernel spreads by pair of addresses) ┘
//!   capture          pipeline  decode   worker: flow, dissect, usage             names     store     report
//!                                                                                catalogue
//! ```
//!
//! From frame to row, in eight steps:
//!
//! 1. [`capture`] puts files in the order of their stamps, merges those that overlap, and yields
//!    frames in [blocks](capture::BLOCK_BYTES). A frame is borrowed from its block and never
//!    copied.
//! 2. [`decode`] makes of it a [`Packet`](packet::Packet), the innermost one, through tags, tunnels
//!    and extension headers, or says why not. [`worker::intake`] counts its bytes, here and nowhere
//!    else, and hashes it.
//! 3. [`flow`] finds its slot: [one cache line](flow::slot::Hot) that every packet touches, and
//!    [the rest](flow::slot::Cold) beside it. A slot holds the bytes of one minute.
//! 4. As long as a dissector wants more of the flow, the worker shows it the payload: TCP segments
//!    in order ([`flow::reassembly`]), UDP datagrams as they come, datagrams in fragments when they
//!    are whole.
//! 5. [`dissect`] answers *complete*, *incomplete* (more, please, within a bound) or *reject* (and
//!    what to count). It keeps nothing between calls but its own small state, and nothing in it
//!    panics.
//! 6. [`usage`] sums by (client, name, hour). Names are interned, within a bound.
//! 7. Merge ([`pipeline::merge`]) names what has no name of its own, matches names with the
//!    catalogue, asks who had the address ([`identity`]), and commits.
//! 8. [`report`] queries the [`store`], orders totally, and writes.
//!
//! ## Blocks, lists, owners
//!
//! A cursor over the input, held by one worker at a time, takes the next block. The worker that
//! took it decodes its packets and leaves one list for each owner; each owner takes its lists in
//! the order of the blocks. So there is one hand-over a block and none a packet, order is kept, and
//! no packet is decoded twice. With one worker there are no lists.
//!
//! The owner of a packet is a [seeded hash](flow::hash::Seed::pair) of the unordered pair of its
//! innermost addresses, so both directions of a flow and all its fragments meet in one worker. The
//! seed differs from run to run and changes no result.
//!
//! ## Rings
//!
//! Live, each worker has a [ring](capture::ring::Ring) of its own and runs from it to its sums
//! without handing anything to anybody ([`pipeline::live`]). The kernel spreads frames over rings by
//! the unordered pair of outer addresses, with a program of ours ([`capture::live`]), so that both
//! directions of a flow, all its fragments and all that a tunnel carries meet in one. A ring that is
//! empty has a time all the same: all frames with earlier stamps have been given, and it counts as
//! the time of a packet without bytes. Rings with a capture's own stamps say what the file says,
//! byte for byte.
//!
//! Frames are copied from the ring into a block, since the kernel takes its memory back before the
//! packets of a batch have been looked at.
//!
//! ## Parts and ticks
//!
//! A [`Part`](worker::part::Part) is what a worker has gathered since its last one: sums, flows
//! without a name, DNS answers, counters. Its sums are keyed by the packets' own hours and carry
//! masks of active minutes, so *when* a part is sent changes nothing in what it says: **ticks
//! decide when data moves, never what it says.**
//!
//! A tick is a place in the input on which all workers agree: the first block after a minute of
//! sensor time, or after half a million packets; live, each full minute of the stamps. Merge waits
//! for all parts of a tick, learns what DNS said in any of them before it names a flow, and commits
//! one transaction, numbered (run, sequence), so that a repeat is refused by a key. A worker whose
//! tables are full sends an early part of the same tick. Where merge is slow, workers that read
//! files wait; live, they keep adding to what they have.
//!
//! Between two ticks, [`service`] exchanges what was reloaded, pins what merge says of itself to a
//! [board](pipeline::board) for those who ask, tells the service manager that there was progress,
//! and deletes what is too old.
//!
//! Merge is one thread and owns what is global: the [cache of DNS names](names::NameCache),
//! verdicts on names and on flows without one, the numbers of rows, the store. The catalogue is
//! asked there, once a distinct name, and never on the packet path.
//!
//! ## Sensor time
//!
//! [Sensor time](worker::clock::SensorClock) is the largest stamp so far. It drives expiry, and
//! nothing else: rows are keyed by the packets' own stamps. A stamp more than
//! [a minute behind it](worker::clock::STEP_BACK_NANOS) or
//! [an hour ahead](worker::clock::STEP_AHEAD_NANOS) is a *time step*. It is counted, what time did
//! to flows until then is done, and sensor time goes on from the new stamp; where that goes back,
//! everything open is handed on, and no flow ends by it. A run follows
//! [`STEPS_MAX`](worker::clock::STEPS_MAX) of them, then sensor time only goes forward. The clock
//! stands with the cursor, so that every worker sees the same time at the same packet. Live, each
//! ring has its own, and they agree as far as the machine's clock does.
//!
//! ## Hours, days, totals
//!
//! Rows of usage by hour become rows by day, rows by day become totals without subjects, and those
//! go, each at its age ([`store::Keeping`]). What is deleted has become the next before, in one
//! transaction, so reports add up the three. Hours of a day are added up where they are
//! [alike](evidence::kept::Kind), so that a report judges the day as it did; no row by day has a
//! time of day. A total has no subject to judge any more: it is [judged](report::Keeper) when it is
//! made, as a report of that day would.
//!
//! # Rules that must be the same everywhere
//!
//! ## Bytes
//!
//! A packet's bytes are the length that its innermost decoded IP header states (IPv4: total length;
//! IPv6: 40 + payload length), or the wire length behind the headers before it, where that says 0
//! or more than the wire has. For what is not IP or cannot be decoded it is the wire length behind
//! the link header. What outer headers add is the bucket `encapsulation`. Snap lengths change none
//! of it. Of a packet that IPComp compressed, the bytes are those on the wire, not what they inflate
//! to.
//!
//! A fragment counts for its datagram's flow as soon as the first one is there, and as
//! `undecodable` if it never comes. Where a tunnel comes in fragments, the flow inside is known
//! only when the datagram is whole. Such a flow is one of its own, apart from the same five-tuple
//! seen otherwise: it belongs to the worker of the outer addresses, and must not depend on how many
//! workers there are. What is in pieces again inside such a tunnel is put together if all of
//! it came in such pieces.
//!
//! ## Buckets
//!
//! Every byte is in exactly one [`Bucket`](ledger::Bucket), the first that fits in the order of
//! [`Bucket::ALL`](ledger::Bucket::ALL); a tunnel that says what it is comes before `private` and
//! `inbound`, since nobody sees what is in it, wherever its ends are. None is computed as a difference. Merge asserts at the end
//! that their sum is what came in at the decoder. An app may have a row although its bytes are in
//! another bucket than `app`: a VPN product is in the reports and in `tunnel`, an app at home in
//! `private`.
//!
//! ## Flows
//!
//! - The client is the sender of the SYN, else the side in the home networks, else the sender of
//!   the first packet. Whoever sends the ClientHello, the request or the question is the client,
//!   whatever was assumed; what has been handed on stays.
//! - A SYN with another sequence number on a known five-tuple opens a new flow, and so does any
//!   packet after the [time-out](flow::slot::Patience): TCP without an answer 30 s, with one 15
//!   min, after FIN both ways or RST 5 s (late segments still belong to it), DNS 10 s, all else 60
//!   s.
//! - Where segments or fragments overlap, the first copy of a byte wins.
//! - As long as a dissector wants more, at most 10 s after the first payload, the flow's sums wait.
//!   Then it has a name of its own, or it is *anonymous* for now.
//! - One hello ends the inspection of a TLS flow. Behind one of QUIC another connection may begin on
//!   the same ports: long headers are looked at for as long as the flow is open. HTTP goes on
//!   request by request, and bytes belong to the name in force when the packet came. Behind CONNECT, SOCKS, the PROXY
//!   protocol and STARTTLS everything begins anew. DNS never ends. A flow that says nothing is
//!   looked at again, a few times, where a segment begins like a hello or a request.
//! - An attempt has failed when nothing answered the SYN and the client sent nothing further, or
//!   RST came before the server's first payload. It counts once the client was seen to receive
//!   anything at all: in half a capture nothing is ever answered.
//!
//! ## Naming by DNS
//!
//! Candidates for an anonymous flow are names of questions (not of aliases) whose answers gave its
//! server's address, stamped at most [0.1 s after](names::LATE_NANOS) its first packet and at most
//! the TTL (not under 5 min, not over 24 h) before it. They are looked for in this order, and the
//! first step with any wins:
//!
//! 1. answers to the same client address,
//! 2. answers to other addresses with the same link address, where that stands for at most 8 (so
//!    questions over IPv4 name flows over IPv6),
//! 3. answers to addresses that both ask and answer: those ask for others.
//!
//! If all candidates are one app, or one registrable domain, the latest is the flow's name and its
//! source is `dns`; else the flow is *ambiguous* and keeps its candidates. It is ambiguous, too, where
//! anybody was given another app's name for the same server within a day before: whose question was
//! not seen may have had that one in mind. A flow whose answer may
//! still be on its way waits for the next tick. The verdict is given once and remembered until the
//! flow ends. Address ranges of the catalogue are asked last.
//!
//! Media of calls ([`dissect::media`]) that neither DNS nor address ranges name are the app's with
//! which one can call and that the same client used [ten minutes](pipeline::calls::PRECEDES_NANOS)
//! before at most; with several such apps they are ambiguous. Since such use is heard of late, they
//! wait for [three minutes](pipeline::loads::WAIT_NANOS), so that neither ticks nor workers change
//! what is said.
//!
//! A ClientHello with Encrypted ClientHello (RFC 9849) keeps its outer name, unless that is known
//! to hide another: the client was offered that configuration in an HTTPS record within its TTL
//! (*confirmed*), or the catalogue lists the outer name as a front (*likely*). Then the flow is
//! named as an anonymous one, and its bytes are `ech_hidden`.
//!
//! ## Tunnels
//!
//! What carries other traffic where nobody can look is known by what it says ([`dissect::tunnel`]):
//! a message that can be nothing else, a reply that names its question, a counter that goes on. A
//! port alone is no sign. It is looked for as long as a flow has no name of its own, and its bytes
//! are in `tunnel`. Products are the catalogue's, by name, or where one product alone speaks the
//! protocol. Remote access is told likewise, but its
//! bytes stay where its name puts them. [Each](worker::detours::Detour) is told with what it was
//! known by, and by how many devices.
//!
//! ## Bounds
//!
//! A flow whose name is hidden, ambiguous or not there is in no app's certain sums. Its
//! candidates (`pipeline::possible`) are the names that DNS told its client, with weight, and those
//! that anybody was told for its server, or used there, within a day before or after, without. Each
//! app among them may have had all of it, which is what `bytes_upper_bound` adds. It is kept by sets of
//! candidates, so that a flow is in an app's bound once, whatever turns out to be the app's; the empty
//! set is what bounds nobody.
//!
//! ## Names that come later
//!
//! Use of a domain that no signature knows is kept in the same rows as that of an app, questions
//! included, so that [`store::Store::rename`] only has to point the domain's target at the app and to
//! move its bytes in the books. That holds for rules of whole registrable domains: a row does not
//! know which host below the domain it was, but for [labels](store::Target::Labelled) that say less
//! about use, and for names that are no host's. Who may lead loads is [kept apart](store::FollowedRow),
//! since a domain with a name may lead no more, and what had none may lead. What has no certain name has a target of its own with [what it hangs on](store::Grounds), as far
//! as domains are among that: [`pipeline::anew`] applies the same rule again. It is a target however
//! certain it was, so that it can become open as well, and what it may have been is kept beside it.
//!
//! ## Users
//!
//! Rows are made for clients in the [home networks](net::NetworkSet::default_home) only; others are
//! `inbound`, in sums. A [`Subject`](identity::Subject) is the only form in which people and
//! devices leave merge. It is made in one place, which puts
//! [pseudonyms](identity::Pseudonyms) where live capture would write an address or a name. No
//! binding, no user.
//!
//! ## Use
//!
//! A name seen is not an app used. The store keeps facts by hour: bytes by role, minutes with
//! payload, flows in which both sides spoke, the bytes behind the hello of the largest flow, flows
//! that began while a page of another site loaded. [`evidence`] makes classes of them when a report
//! is made, by thresholds that are settings. A second flow that says nothing beyond its hello (happy
//! eyeballs, a try with QUIC) adds nothing, since it is the largest flow that counts.
//!
//! Whether an address is a person is told by distinct values of its
//! [traits](evidence::source::Trait), which workers note when a flow begins or is named. Addresses
//! that are none have no user and no device in reports.
//!
//! ## Words
//!
//! Frame, packet, five-tuple, flow, client, server, observation, signature, app, role, tenant,
//! edition, usage, part, bucket, report. `bytes_up` is client to server, `connections` are flows.
//! [`NameSource`](observation::NameSource) says where a name came from; it is not how strong the
//! evidence of use is. We never say that something is made anonymous: an anonymous flow is one
//! without a name.
//!
//! # Layers: who may import whom
//!
//! | layer | modules | rule |
//! | --- | --- | --- |
//! | L0 values | [`time`] [`net`] [`hostname`] `fnv` [`packet`] [`observation`] [`stats`] [`ledger`] [`footprint`] | plain values; import nothing above |
//! | L1 pure | [`decode`] [`dissect`] [`catalogue`] | bytes or text in, values out; no I/O, clock or lasting state |
//! | L2 state | [`flow`] [`usage`] [`evidence`] [`worker`] [`names`] [`identity`] | own their memory, take time as an argument; no I/O |
//! | L3 edges | [`capture`] [`store`] [`report`] [`rights`] [`feeds`] [`signatures`] | all I/O |
//! | L4 composition | [`config`] [`pipeline`] [`service`] [`cli`] | threads, settings, merge |
//!
//! `tests/tidy.rs` reads the sources and refuses an import that goes up, and a crate outside its
//! one home: `etherparse` in `decode`, `tls-parser`, `dns-parser` and `httparse` in `dissect`,
//! `pcap` in `capture`, `seccompiler` in `rights`, `rusqlite` in `store`, `clap` in `cli`, and so on. Lints see to the rest:
//! no `unsafe` but one file of prefetching and one of socket options, no clock and no lock below the
//! pipeline but the clock that stamps live frames, no `unwrap`,
//! `expect` or indexing on bytes from the network.
//!
//! # Limits
//!
//! Bounds that shape rows are applied in merge, over sorted input. A worker's own bounds protect
//! memory and are set so that no traffic short of an attack reaches them. What all tables take together
//! is added up in [`pipeline::footprint`].
//!
//! | what | bound | at the bound |
//! | --- | --- | --- |
//! | flows a worker | [`FLOWS_MAX`](flow::table::FLOWS_MAX), 120 bytes each and at most 32 MiB of index | the one nearest its time-out ends, `flow_evicted` |
//! | flows and directions a worker whose last packets are remembered, where copies are looked for | [`WINDOWS_MAX`](worker::duplicates::WINDOWS_MAX) | those go that only a stamp out of order could be compared with, or else all, `duplicate_forgotten` |
//! | hello bytes kept of a side that speaks QUIC, and connections that they are of | 16 KiB, and a bit for each; [`CONNECTIONS_MAX`](dissect::quic::CONNECTIONS_MAX) | a longer hello: no more is looked at; more hellos: the oldest goes; `quic_overflow` |
//! | bytes kept of a stream while a dissector wants more | [`HELD_BYTES_MAX`](flow::reassembly::HELD_BYTES_MAX) | no more is looked at, `inspection_overflow` |
//! | bytes and runs kept behind holes of a stream | [`HELD_BYTES_MAX`](flow::reassembly::HELD_BYTES_MAX), [`HOLES_MAX`](flow::reassembly::HOLES_MAX) | the latest are forgotten; where they would have been wanted, `stream_gap` |
//! | bytes from a hole to the latest segment | [`HOLE_BYTES_MAX`](flow::reassembly::HOLE_BYTES_MAX), or once no more is kept the next segment that begins like a request or a hello | what is missing is given up, `stream_gap` |
//! | first segments kept of a stream whose SYN was not seen, in case their beginning comes later | 8, 16 KiB | they are forgotten |
//! | a request's head, and a line of a longer one, read in one go | 8 KiB | read line by line, keeping nothing; of a longer line the beginning of the target and the version |
//! | preambles of a stream, lines of text of one before TLS, bytes of such a line | 16, 32, 2 KiB | looked at anew from the next segment on, as one that says nothing |
//! | segments of a TCP flow that say nothing | 16 | of the server no more is looked at (a certificate comes earlier), of the client the next row |
//! | segments of a TCP client behind those | [`LOOKED_LATER_MAX`](worker::LOOKED_LATER_MAX) that begin like a request, or as many times 64 KiB; shorter ones than 16 bytes begin nothing | no more is looked at, `stream_left` |
//! | a field of a header block of HTTP/2 | 16 KiB | no more is looked at, `http_malformed` |
//! | flows that may be tunnels, or media of calls, a worker | 16,384 each | the next packets of others are not looked at, `tunnel_overflow` |
//! | open inspections a worker, bytes of all, hours of undecided flows with sums that wait | 16,384, [`INSPECTED_BYTES_MAX`](worker::INSPECTED_BYTES_MAX), 28,672 | the oldest is told what is there and closed, `inspection_evicted`; likewise the flow itself |
//! | TCP flows a worker whose sequence numbers are followed | 57,344 | others are not, `hint_dropped` |
//! | QUIC Initials of a flow that do not open, since its last hello; that open and bring nothing | [`INITIALS_TRIED_MAX`](dissect::quic::INITIALS_TRIED_MAX), [`INITIALS_REPEATED_MAX`](dissect::quic::INITIALS_REPEATED_MAX) | no more is looked at, `quic_unopened` or `quic_overflow` |
//! | marks of a flow by which connections of QUIC on the same ports are told apart | 32; more than four of 16,384 flows a worker | the oldest goes: a hello may be told again |
//! | questions, answers, alias chain of a DNS message | [`QUESTIONS_MAX`](dissect::dns::QUESTIONS_MAX), [`ANSWERS_MAX`](dissect::dns::ANSWERS_MAX), [`CHAIN_LENGTH_MAX`](dissect::dns::CHAIN_LENGTH_MAX) | refused, `dns_malformed` |
//! | labels and pointers of a DNS name | 127, 16 | refused, `dns_malformed` |
//! | layers of encapsulation, link headers and tags | [`ENCAPSULATION_LAYERS_MAX`](decode::ENCAPSULATION_LAYERS_MAX), [`LINK_HEADERS_MAX`](decode::LINK_HEADERS_MAX) | `undecodable`, `decode_too_deep` |
//! | bytes that a compressed packet inflates to | [`INFLATED_BYTES_MAX`](decode::INFLATED_BYTES_MAX) | it stays closed, `ipcomp_opaque` |
//! | open datagrams a worker | 4,096, 16 MiB in all, 5 s | the oldest goes, `fragment_evicted`; after 5 s `fragment_orphan` where the first never came |
//! | runs of bytes kept of a datagram in fragments | 64 | its next fragments are not kept, `fragment_evicted` |
//! | sums a worker between ticks | [`SUMS_MAX`](usage::SUMS_MAX) | an early part |
//! | names a worker holds, bytes of their text | [`NAMES_MAX`](usage::NAMES_MAX), [`NAMES_BYTES_MAX`](usage::NAMES_BYTES_MAX) | registrable domain, `name_folded`; from twice as many on, or as many bytes, "other", `name_other` |
//! | anonymous flows a part | [`ANONYMOUS_MAX`](worker::part::ANONYMOUS_MAX) | bytes go to `no_name`, `anonymous_overflow` |
//! | verdicts on them remembered, bytes of names in them; those whose answer may be on its way | 229,376 and 16 MiB a worker; 32,768 | named anew at the next part, `anonymous_overflow` |
//! | beginnings and later steps of flows a part, waiting in merge, and flows that followed and may go on | [`STEPS_MAX`](worker::part::STEPS_MAX), [`WAITING_MAX`](pipeline::loads::WAITING_MAX), [`REMEMBERED_MAX`](pipeline::loads::REMEMBERED_MAX) | an early part; followed nobody, `beginning_dropped`; what they do in later hours followed nobody, likewise |
//! | rows whose leaders are told in a commit | 114,688 | it stays as it is now, whoever gets a name |
//! | clients whose loads are known, pages of all | 114,688, 524,288 | all are forgotten; no more are looked at, `beginning_dropped` |
//! | values of traits, an address and hour | [`VALUES_MAX`](evidence::source::Trait::VALUES_MAX) | no more are kept; a run keeps 2,097,152, one without end 393,216 of the last hours, then `hint_dropped` |
//! | DNS answers a part, and remembered in merge | [`ANSWERS_MAX`](worker::part::ANSWERS_MAX), [`ANSWERS_MAX`](names::ANSWERS_MAX) | dropped, `answer_dropped`; the oldest is dropped, `answer_evicted` |
//! | link addresses and clients seen both ways, a part | [`HINTS_MAX`](worker::part::HINTS_MAX) | no more are noted |
//! | bytes of when apps for calls were used, flows of media that wait for them | [`USES_BYTES_MAX`](pipeline::calls::USES_BYTES_MAX), [`WAITING_MAX`](pipeline::calls::WAITING_MAX) with twice as many pieces | left out, `call_dropped` |
//! | connections' clocks of hours that are not over | 114,688 | no more are noted, `hint_dropped` |
//! | TCP connections that clients opened, a part; addresses with any, addresses that ARP showed, servers with runs of ports, of hours that are not over | [`OPENINGS_MAX`](worker::allowance::OPENINGS_MAX) a tick; 114,688 each, and 229,376 runs | no more are noted, `hint_dropped` |
//! | who served whom, a part and of hours that are not over; clients of a port | [`HINTS_MAX`](worker::part::HINTS_MAX), 114,688; 64 | no more are noted, `hint_dropped`; more are not counted |
//! | devices that ARP and DHCP showed, or that had traffic of apps, of days not judged yet | [`PRESENT_MAX`](pipeline::presence::PRESENT_MAX) | no more are noted, `hint_dropped` |
//! | pages of a client that may lead loads, and leaders of a flow | [`PAGES_MAX`](pipeline::loads::PAGES_MAX), [`LEADERS_MAX`](pipeline::loads::LEADERS_MAX) | no more are looked at, `beginning_dropped`; those behind are not told |
//! | addresses of which it is known what anybody was told, names of one, and of all | 229,376, 16, 524,288 | the oldest go; no more are kept, `candidate_dropped` |
//! | memory of names that DNS told | 48 MiB | the older half of answers goes, `answer_evicted` |
//! | addresses that ask, that answer, with a link address; further ones of these | 229,376, 229,376, 114,688; 131,072 | no more are noted; `candidate_dropped` |
//! | domains, tenants and sides of apps that names stand for, and bytes of their text; where captures are read, four times as many | 114,688, 12 MiB | numbered anew; until then, or where they cannot be, domain "other" or no tenant, `unmatched_folded` |
//! | those that hang on others | 57,344 | not told anew when the catalogue learns, `candidate_dropped` |
//! | pieces of flows whose candidates may become more, servers of which it is known what was used there, apps and domains of one, candidates of a flow | 57,344 and 20 MiB, 229,376 and 32 MiB, 64, 96 | learn nothing more; left out, `candidate_dropped` |
//! | bytes of sums by candidates in a commit | 24 MiB | left out, `candidate_dropped` |
//! | rules by which names were an app's, ways around of devices, failed attempts of clients of which no more is seen, in a commit | 131,072, 57,344, 57,344 | left out, `pattern_dropped`, `hint_dropped` |
//! | clients with names that may be Tor's, names of one | 4,096, 8 | all are forgotten; the oldest goes |
//! | offers of Encrypted ClientHello remembered | 28,672 | all are forgotten |
//! | bytes a worker gathers in a tick, in all its parts | [`GATHERED_BYTES_MAX`](worker::allowance::GATHERED_BYTES_MAX) | sums of new keys go to the books: `usage_overflow`, `anonymous_overflow`; the rest is counted by what it is |
//! | of these, sums of anonymous flows in which not both sides spoke; of questions | [`UNANSWERED_MAX`](worker::allowance::UNANSWERED_MAX), [`QUESTIONS_MAX`](worker::allowance::QUESTIONS_MAX) | bytes go to `no_name`, `anonymous_overflow`; `question_dropped` |
//! | clients with rows; of these, by which time no question or trait alone makes one | 458,752; 229,376 | client "other", `client_folded`; traits `hint_dropped` |
//! | unmatched domains | 65,536 | those with most bytes stay, ties by name; domain "other", `unmatched_folded` |
//! | parts waiting for merge, a worker | 2 | workers wait; live, they go on |
//! | rows of usage while a disk refuses them, live | 64 MiB | those of the oldest hour go, `row_dropped` |
//! | frames that wait in a ring | [`RING_BYTES`](capture::live::RING_BYTES) as a rule | the kernel drops and counts them, `rings` |
//! | workers | [`WORKERS_MAX`](pipeline::WORKERS_MAX) | refused |
//! | time steps a run follows | [`STEPS_MAX`](worker::clock::STEPS_MAX) | sensor time only goes forward |
//! | a frame, a record of a capture file | [`FRAME_BYTES_MAX`](capture::FRAME_BYTES_MAX), [`RECORD_BYTES_MAX`](capture::RECORD_BYTES_MAX) | the file is damaged there |
//!
//! # Errors: four kinds, four fates
//!
//! | whose fault | type | fate |
//! | --- | --- | --- |
//! | the network's | small `Copy` enums, [`Progress::Reject`](dissect::Progress) | a counter; never a line of text for each packet |
//! | the contributor's or operator's | [`Finding`](catalogue::Finding)s with file, line, rule and remedy; messages that name the option | all shown at once; exit code 2 |
//! | the machine's | enums with the path named ([`StoreError`](store::StoreError), [`ReportError`](report::ReportError)) | exit code 1 |
//! | ours | `assert!` on sums at the boundaries of merge | the process ends |
//!
//! A dissector that panics all the same costs one flow its name, `dissector_panic`. A damaged
//! capture keeps everything before the damage, names its offset, and ends with 1.

pub mod capture;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod decode;
pub mod dissect;
pub mod evidence;
pub mod feeds;
pub mod flow;
mod fnv;
pub mod footprint;
pub mod hostname;
pub mod identity;
pub mod ledger;
pub mod names;
pub mod net;
pub mod observation;
pub mod packet;
pub mod pipeline;
pub mod report;
pub mod rights;
pub mod service;
pub mod signatures;
pub mod stats;
pub mod store;
pub mod time;
pub mod usage;
pub mod worker;
