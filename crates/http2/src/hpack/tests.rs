use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const TABLE: u32 = 4096;
const LIST: usize = 64 << 10;

fn decoder() -> Decoder {
    Decoder::new(TABLE, LIST)
}

/// The bytes in a dump of hexadecimal digits.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn list(fields: &[(&str, &str)]) -> Vec<Field> {
    fields.iter().map(|(name, value)| Field::new(*name, *value)).collect()
}

/// Blocks of one connection, in hexadecimal, the list in each and the size of the table after it.
type Exchange<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)], usize)];

fn check(mut decoder: Decoder, blocks: Exchange<'_>) {
    for (block, fields, size) in blocks {
        assert_eq!(decoder.decode(&bytes(block)), Ok(list(fields)));
        assert_eq!(decoder.table_size(), *size, "{fields:?}");
    }
}

/// Appendix C.2.
#[test]
fn representations_are_those_of_the_rfc() {
    let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check(decoder(), &[(custom, &[("custom-key", "custom-header")], 55)]);
    let path = "040c 2f73 616d 706c 652f 7061 7468";
    check(decoder(), &[(path, &[(":path", "/sample/path")], 0)]);
    check(decoder(), &[("82", &[(":method", "GET")], 0)]);
    let secret = bytes("1008 7061 7373 776f 7264 0673 6563 7265 74");
    let never = Field { never_indexed: true, ..Field::new("password", "secret") };
    assert_eq!(decoder().decode(&secret), Ok(vec![never.clone()]));
    let mut encoder = Encoder::new();
    encoder.encode([]);
    assert_eq!(encoder.encode([&never]), secret);
    assert_eq!(encoder.encode([&Field::new(":method", "GET")]), [0x82]);
}

const FIRST: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
const SECOND: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const THIRD: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];

/// Appendix C.3 and C.4.
#[test]
fn requests_are_those_of_the_rfc() {
    check(
        decoder(),
        &[
            ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", FIRST, 57),
            ("8286 84be 5808 6e6f 2d63 6163 6865", SECOND, 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                THIRD,
                164,
            ),
        ],
    );
    check(
        decoder(),
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST, 57),
            ("8286 84be 5886 a8eb 1064 9cbf", SECOND, 110),
            ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", THIRD, 164),
        ],
    );
}

const DATE: &str = "Mon, 21 Oct 2013 20:13:21 GMT";
const PLACE: &str = "https://www.example.com";
const FOUND: &[(&str, &str)] =
    &[(":status", "302"), ("cache-control", "private"), ("date", DATE), ("location", PLACE)];
const REDIRECTED: &[(&str, &str)] =
    &[(":status", "307"), ("cache-control", "private"), ("date", DATE), ("location", PLACE)];
const COOKIE: &[(&str, &str)] = &[
    (":status", "200"),
    ("cache-control", "private"),
    ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
    ("location", PLACE),
    ("content-encoding", "gzip"),
    ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
];

/// Appendix C.5 and C.6: a table of 256 bytes, from which headers are evicted.
#[test]
fn responses_and_evictions_are_those_of_the_rfc() {
    let small = || Decoder::new(256, LIST);
    check(
        small(),
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
                 6c65 2e63 6f6d",
                FOUND,
                222,
            ),
            ("4803 3330 37c1 c0bf", REDIRECTED, 222),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
                 3d31",
                COOKIE,
                215,
            ),
        ],
    );
    check(
        small(),
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                FOUND,
                222,
            ),
            ("4883 640e ffc1 c0bf", REDIRECTED, 222),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
                 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
                 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                COOKIE,
                215,
            ),
        ],
    );
}

fn field() -> impl Strategy<Value = Field> {
    (vec(any::<u8>(), 0..30), vec(any::<u8>(), 0..200), any::<bool>())
        .prop_map(|(name, value, never_indexed)| Field { name, value, never_indexed })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_and_touches_no_table(lists in vec(vec(field(), 0..8), 1..4)) {
        let (mut encoder, mut decoder) = (Encoder::new(), decoder());
        for list in lists {
            let block = encoder.encode(&list);
            prop_assert_eq!(decoder.decode(&block), Ok(list));
            prop_assert_eq!(decoder.table_size(), 0);
        }
    }

    #[test]
    fn whatever_comes_is_decoded_within_bounds(blocks in vec(vec(any::<u8>(), 0..200), 1..5)) {
        let mut decoder = Decoder::new(300, 500);
        for block in blocks {
            match decoder.decode(&block) {
                Ok(list) => prop_assert!(list.iter().map(Field::size).sum::<usize>() <= 500),
                Err(HpackError::ListTooLong(_)) => {}
                Err(_) => break,
            }
            prop_assert!(decoder.table_size() <= 300);
        }
    }
}

#[test]
fn what_cannot_be_decoded_is_refused() {
    use HpackError::{Huffman, Index, Integer, TableSize, TableSizeLate, Truncated};
    let table = [
        // Indexes: of nothing, behind the static table, of a name.
        ("80", Index(0)),
        ("be", Index(62)),
        ("ff00", Index(127)),
        ("7f00 0161", Index(63)),
        ("0f2f 0161", Index(62)),
        // What ends too early: an index, a name, a value, the string in it.
        ("ff", Truncated),
        ("40", Truncated),
        ("0004 6162", Truncated),
        ("0001 61", Truncated),
        ("0001 61 05 6162", Truncated),
        ("00ff ffff ff0f 61", Truncated),
        // A number that is too large, or has no end.
        ("ff ffff ffff ff0f", Integer),
        ("3f ffff ffff 7f", Integer),
        ("00 7f80 8080 8080 8000", Integer),
        // Compressed strings: cut off, padded wrongly, with the end in them.
        ("0081 ff 0161", Huffman),
        ("0001 61 8118", Huffman),
        ("0001 61 84 ffff ffff", Huffman),
        ("0001 61 82 1fff", Huffman),
        // The size of the table: over the limit, after a header.
        ("3fe2 1f", TableSize { asked: 4097, allowed: 4096 }),
        ("82 20", TableSizeLate),
        ("20 82 20 83", TableSizeLate),
    ];
    for (hex, error) in table {
        assert_eq!(decoder().decode(&bytes(hex)), Err(error), "{hex}");
    }
}

#[test]
fn the_size_of_the_table_changes_at_the_start_of_a_block() {
    let mut decoder = decoder();
    let custom = bytes("4001 6101 62");
    decoder.decode(&custom).unwrap();
    assert_eq!(decoder.table_size(), 34);
    // Down to nothing and up again, in one block, as an encoder does that forgets all.
    let forgetting = [bytes("20 3fe1 1f"), custom.clone()].concat();
    assert_eq!(decoder.decode(&forgetting), Ok(list(&[("a", "b")])));
    assert_eq!(decoder.table_size(), 34);
    // A size that is no size for it: what is larger than the table empties it (section 4.4).
    assert_eq!(decoder.decode(&[bytes("3f02"), custom].concat()), Ok(list(&[("a", "b")])));
    assert_eq!(decoder.table_size(), 0);
    assert_eq!(decoder.decode(&bytes("be")), Err(HpackError::Index(62)));
}

#[test]
fn what_is_allowed_follows_the_settings() {
    let mut decoder = decoder();
    decoder.allow_table(100);
    let size = |bytes: u32| HpackError::TableSize { asked: bytes, allowed: 100 };
    assert_eq!(decoder.decode(&bytes("3f46")), Err(size(101)));
    assert_eq!(decoder.decode(&bytes("3f45")), Ok(Vec::new()));
    decoder.allow_table(1 << 20);
    assert_eq!(decoder.decode(&bytes("3fe1 ff3f")), Ok(Vec::new()));
}

/// A header of 4 KB in the table, and a thousand indexes of it: 16 KB become 4 MB.
#[test]
fn a_bomb_is_refused_and_the_decoder_goes_on() {
    let mut decoder = Decoder::new(TABLE, 10_000);
    let large = Field::new("a", vec![b'x'; 4000]);
    let mut block = vec![0x40];
    for string in [&large.name, &large.value] {
        integer::push(&mut block, 0, 7, string.len());
        block.extend_from_slice(string);
    }
    assert_eq!(decoder.decode(&block), Ok(vec![large.clone()]));
    // With something for the table behind it.
    let bomb = [vec![0xbe; 16_000], bytes("4001 6201 63")].concat();
    assert_eq!(decoder.decode(&bomb), Err(HpackError::ListTooLong(10_000)));
    assert_eq!(decoder.decode(&[0xbe, 0xbf]), Ok(vec![Field::new("b", "c"), large]));
}

#[test]
fn an_encoder_says_that_it_keeps_nothing_when_it_has_to() {
    let mut encoder = Encoder::default();
    let status = [Field::new(":status", "200")];
    assert_eq!(encoder.encode(&status), [0x20, 0x88]);
    assert_eq!(encoder.encode(&status), [0x88]);
    encoder.table_size_announced();
    assert_eq!(encoder.encode(&status), [0x20, 0x88]);
}
