//! What one side of a TCP connection costs: the first bytes of a flow, and the test that every
//! later segment passes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use shadowscope::dissect::Finding;
use shadowscope::dissect::stream::SideStream;
use shadowscope::dissect::tls::{Transport, client_hello};

/// ClientHello of a mail client, 227 bytes in one record (nDPI's capture imaps.pcap).
const HELLO: &str = "16030100de010000da03035ed29010a14c5d6ea344987a80093628132ed16c2dae342e296e764f\
    9263e4332024501c6e28d8a5e5b52182bea81e87e3edef4cb72b8857ea2b44a9e37c8ed1e7004200ffc02cc02bc024\
    c023c00ac009c008c030c02fc028c027c014c013c012009f009e006b0067003900330016009d009c003d003c003500\
    2f000ac007c011000500040100004f00000012001000000d6d61696c2e6e746f702e6f7267000a0008000600170018\
    0019000b00020100000d00120010040102010501060104030203050306030005000501000000000012000000170000";

const REQUEST: &[u8] =
    b"GET /index.html HTTP/1.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
    Accept: text/html\r\nAccept-Language: en\r\nHost: www.example.com\r\nConnection: keep-alive\r\n\
    \r\n";

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn advance(bytes: &[u8]) -> usize {
    let mut names = 0;
    let mut stream = SideStream::new(50_000, 443);
    stream.advance(black_box(bytes), &mut |finding| {
        names += match finding {
            Finding::Hello(hello) => usize::from(hello.server_name.is_some()),
            Finding::Request(request) => usize::from(request.host.is_some()),
            _ => 0,
        };
    });
    names
}

fn streams(criterion: &mut Criterion) {
    let hello = bytes_of(HELLO);
    assert_eq!((advance(&hello), advance(REQUEST)), (1, 1));
    criterion.bench_function("hello_walk_and_ja4", |bencher| {
        bencher.iter(|| client_hello(black_box(&hello[5..]), Some(Transport::Tcp)));
    });
    criterion.bench_function("stream_hello", |bencher| bencher.iter(|| advance(&hello)));
    criterion.bench_function("stream_request", |bencher| bencher.iter(|| advance(REQUEST)));
    let bulk = [0xb7; 1400];
    criterion.bench_function("stream_unknown", |bencher| bencher.iter(|| advance(&bulk)));
    criterion.bench_function("may_begin_bulk", |bencher| {
        bencher.iter(|| SideStream::may_begin(black_box(&bulk)));
    });
    let text = b"Gallia est omnis divisa in partes tres";
    criterion.bench_function("may_begin_text", |bencher| {
        bencher.iter(|| SideStream::may_begin(black_box(text)));
    });
}

criterion_group!(benches, streams);
criterion_main!(benches);
