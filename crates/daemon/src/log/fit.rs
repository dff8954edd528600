//! Makes lines fit to be read, whoever had them written.
//!
//! Messages and values may hold what a peer, a child or a container runtime has said. Before a line
//! is queued each of them goes through [`shown`], whatever format it will have: no value forges a
//! line or moves a cursor, and none takes more room in the queue than a line should. Numbers stay
//! numbers.

use std::fmt::Arguments;

use nsplice_backend::shown;
use slog::{BorrowedKV, Drain, Key, OwnedKVList, Record, RecordStatic, Result, Serializer, KV};

/// A drain that gets only lines that are fit.
#[derive(Debug)]
pub(super) struct Fit<D>(pub(super) D);

impl<D: Drain> Drain for Fit<D> {
    type Ok = D::Ok;
    type Err = D::Err;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> std::result::Result<D::Ok, D::Err> {
        let (location, tag, level) = (record.location(), record.tag(), record.level());
        let same = RecordStatic { location, tag, level };
        let kv = FitValues(record.kv());
        let message = record.msg().to_string();
        let message = shown(&message);
        self.0.log(&Record::new(&same, &format_args!("{message}"), BorrowedKV(&kv)), values)
    }
}

/// The values of a line.
struct FitValues<'a>(BorrowedKV<'a>);

impl KV for FitValues<'_> {
    fn serialize(&self, record: &Record<'_>, out: &mut dyn Serializer) -> Result {
        self.0.serialize(record, &mut FitSerializer(out))
    }
}

struct FitSerializer<'a>(&'a mut dyn Serializer);

/// Values that cannot hold a text.
macro_rules! plain {
    ($($emit:ident: $value:ty),* $(,)?) => {
        $(fn $emit(&mut self, key: Key, value: $value) -> Result {
            self.0.$emit(key, value)
        })*
    };
}

impl Serializer for FitSerializer<'_> {
    plain! {
        emit_bool: bool,
        emit_u8: u8, emit_u16: u16, emit_u32: u32, emit_u64: u64, emit_usize: usize,
        emit_i8: i8, emit_i16: i16, emit_i32: i32, emit_i64: i64, emit_isize: isize,
        emit_f32: f32, emit_f64: f64,
    }

    fn emit_unit(&mut self, key: Key) -> Result {
        self.0.emit_unit(key)
    }

    fn emit_none(&mut self, key: Key) -> Result {
        self.0.emit_none(key)
    }

    fn emit_str(&mut self, key: Key, value: &str) -> Result {
        self.0.emit_str(key, &shown(value))
    }

    fn emit_arguments(&mut self, key: Key, value: &Arguments<'_>) -> Result {
        self.emit_str(key, &value.to_string())
    }
}
