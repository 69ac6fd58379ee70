//! Binary form of what this crate writes to its own files and sockets, in the codec of the schemas crate. Not a contract with
//! anyone: what lies in a topic is told by the schemas crate alone.

use sagaline_schemas::wire::{Bytes, Reader, Wire, WireError, put_long};

use crate::Record;

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        put_bytes(out, &self.value);
        if !self.headers.is_empty() {
            put_long(out, self.headers.len() as i64);
            for (name, value) in &self.headers {
                put_bytes(out, name.as_bytes());
                put_bytes(out, value);
            }
        }
        put_long(out, 0);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, WireError> {
        let key = Bytes::decode(input)?.0;
        let value = Bytes::decode(input)?.0;
        let mut headers = Vec::new();
        while let count @ 1.. = input.long()? {
            for _ in 0..count {
                headers.push((String::decode(input)?, Bytes::decode(input)?.0));
            }
        }
        Ok(Self { key, value, headers })
    }
}
