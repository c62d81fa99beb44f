//! Fields one after the other: numbers little endian, bytes with a `u32` length in front. What the protocol and the manifest are made of.

use zeroize::Zeroizing;

/// Takes fields. A count of bytes is one too, so that a buffer for secrets is made once in its final size and never moves.
pub(crate) trait Sink {
    fn raw(&mut self, bytes: &[u8]);

    fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }
    fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }
    fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.raw(value);
    }
    fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }
    /// The length of a list or of bytes. One beyond `u32` would make a frame far beyond the largest; it is refused there.
    fn length(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }
}

impl Sink for Vec<u8> {
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Sink for usize {
    fn raw(&mut self, bytes: &[u8]) {
        *self += bytes.len();
    }
}

/// What writes itself as fields.
pub(crate) trait Encode {
    fn write(&self, out: &mut impl Sink);

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut length = 0usize;
        self.write(&mut length);
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        self.write(&mut *out);
        out
    }
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub(crate) &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the message is malformed: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Gives fields back. Never allocates more than is there.
pub(crate) struct Source<'a>(pub(crate) &'a [u8]);

impl<'a> Source<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(Malformed("it ends early"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| Malformed("it ends early"))
    }
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }
    pub(crate) fn str(&mut self) -> Result<String, Malformed> {
        let text =
            std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text is not UTF-8"))?;
        Ok(text.to_owned())
    }
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        // The count is only believed one item at a time: each takes at least a byte of what is there.
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
    pub(crate) fn end(self) -> Result<(), Malformed> {
        self.0
            .is_empty()
            .then_some(())
            .ok_or(Malformed("something follows its end"))
    }
}
