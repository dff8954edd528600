use super::*;
use proptest::prelude::*;

fn next(bytes: &[u8]) -> Result<Option<Field<'_>>, ProtobufError> {
    Message::new("Pod", bytes).next()
}

fn one(bytes: &[u8]) -> Field<'_> {
    next(bytes).unwrap().unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        numbers in (1..=LARGEST, 1..=LARGEST, 1..=LARGEST),
        value in 1u64..,
        text in ".{1,20}",
    ) {
        let (a, b, c) = numbers;
        let inner = Writer::new().text(1, &text);
        let bytes = Writer::new().number(a, value).text(b, &text).message(c, inner).finish();
        let mut message = Message::new("Pod", &bytes);
        let first = message.next().unwrap().unwrap();
        prop_assert_eq!((first.number, first.number("n").unwrap()), (a, value));
        let second = message.next().unwrap().unwrap();
        prop_assert_eq!((second.number, second.text("t").unwrap()), (b, &text[..]));
        let third = message.next().unwrap().unwrap();
        let mut inner = third.message("m", "Inner").unwrap();
        prop_assert_eq!(inner.next().unwrap().unwrap().text("t").unwrap(), &text);
        prop_assert!(message.next().unwrap().is_none());
    }

    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut message = Message::new("Pod", &bytes);
        let mut fields = 0;
        while let Ok(Some(field)) = message.next() {
            fields += 1;
            let _ = (map_entry(field, "m"), field.text("t"), field.number("n"));
        }
        prop_assert!(fields <= bytes.len() / 2);
    }
}

#[test]
fn what_is_nothing_is_left_out() {
    let empty = Writer::new().text(1, "").number(2, 0u32).number(3, false);
    assert_eq!(empty.clone().finish(), [0u8; 0]);
    assert_eq!(Writer::new().message(4, empty).finish(), [0x22, 0]);
    // The filter for what is ready, whose number is 0.
    let ready = Writer::new().message(1, Writer::new().message(2, Writer::new()));
    assert_eq!(ready.finish(), [0x0a, 2, 0x12, 0]);
}

#[test]
fn what_is_malformed_says_where() {
    let large = "a number is too large";
    let middle = "it ends in the middle of a field";
    let table: [(&[u8], &str); 10] = [
        (&[0], "a field has no possible number"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 1, 0], "a field has no possible number"),
        // Groups, and types that do not exist.
        (&[0x0b], "a field has no possible type"),
        (&[0x0f], "a field has no possible type"),
        (&[0x08], middle),
        (&[0x0a, 5, 1, 2], middle),
        (&[0x09, 1, 2, 3], middle),
        (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], middle),
        (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], large),
        (&[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], large),
    ];
    for (bytes, what) in table {
        let error = ProtobufError::Malformed { message: "Pod", what };
        assert_eq!(next(bytes).unwrap_err(), error, "{bytes:x?}");
    }
    let largest = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(one(&largest).number("n"), Ok(u64::MAX));
}

#[test]
fn what_has_the_wrong_type_names_its_field() {
    let (number, text, fixed) = ([0x08, 1], [0x0a, 1, b'x'], [0x0d, 1, 2, 3, 4]);
    let told = |error: ProtobufError| error.to_string();
    assert_eq!(
        told(one(&number).text("id").unwrap_err()),
        "Pod.id (field 1) is a number where text is wanted"
    );
    assert_eq!(
        told(one(&text).number("state").unwrap_err()),
        "Pod.state (field 1) is text, bytes or a message where a number is wanted"
    );
    assert_eq!(
        told(one(&fixed).message("metadata", "Metadata").unwrap_err()),
        "Pod.metadata (field 1) is a number of fixed length where a message is wanted"
    );
    assert_eq!(
        told(one(&[0x0a, 1, 0xff]).text("id").unwrap_err()),
        "Pod.id (field 1) is bytes that are no text where text is wanted"
    );
    let entry = [0x0a, 2, 0x08, 1];
    assert_eq!(
        told(map_entry(one(&entry), "labels").unwrap_err()),
        "an entry of a map.key (field 1) is a number where text is wanted"
    );
}
