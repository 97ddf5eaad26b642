//! A checked view of the bytes still to be read.

use crate::error::{Part, WireError};

/// What is left of a datagram. Every read names the part it is for, so that a short datagram says where it ends.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self, part: Part) -> Result<[u8; N], WireError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.short(part, N))?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize, part: Part) -> Result<&'a [u8], WireError> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.short(part, count))?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn u8(&mut self, part: Part) -> Result<u8, WireError> {
        self.array::<1>(part).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, part: Part) -> Result<u16, WireError> {
        self.array(part).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, part: Part) -> Result<u32, WireError> {
        self.array(part).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, part: Part) -> Result<u64, WireError> {
        self.array(part).map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self, part: Part) -> Result<u128, WireError> {
        self.array(part).map(u128::from_be_bytes)
    }

    /// Fails unless `count` things of at least `least` bytes can follow, before anything is allocated for them.
    pub(super) fn expect(&self, count: u8, least: usize, part: Part) -> Result<(), WireError> {
        let need = usize::from(count) * least;
        if self.left() < need {
            Err(self.short(part, need))
        } else {
            Ok(())
        }
    }

    /// Fails unless everything has been read.
    pub(super) const fn end(self) -> Result<(), WireError> {
        match self.left() {
            0 => Ok(()),
            count => Err(WireError::Trailing { count }),
        }
    }

    const fn short(&self, part: Part, need: usize) -> WireError {
        WireError::Truncated {
            part,
            need,
            have: self.rest.len(),
        }
    }
}
