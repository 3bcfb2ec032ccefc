//! Canonical base64url without padding (RFC 7515, section 2): each sequence of bytes has exactly one accepted encoding.

use std::mem::MaybeUninit;

use base64_simd::{AsOut, URL_SAFE_NO_PAD};

/// A buffer for decoded bytes: on the stack for ordinary tokens, on the heap for larger ones.
pub(crate) struct Buffer<const N: usize> {
    stack: [MaybeUninit<u8>; N],
    heap: Vec<u8>,
}

impl<const N: usize> Buffer<N> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { stack: [const { MaybeUninit::uninit() }; N], heap: Vec::new() }
    }

    /// Decodes `text`. Returns `None` if it is not canonical.
    #[inline]
    pub(crate) fn decode(&mut self, text: &[u8]) -> Option<&[u8]> {
        if text.len() / 4 * 3 + 2 <= N {
            URL_SAFE_NO_PAD.decode(text, self.stack.as_mut_slice().as_out()).ok().map(|bytes| &*bytes)
        } else {
            self.heap = decode_to_vec(text)?;
            Some(&self.heap)
        }
    }
}

/// Decodes `text`. Returns `None` if it is not canonical.
pub(crate) fn decode_to_vec(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

/// Returns true if `text` is canonical.
pub(crate) fn is_canonical(text: &[u8]) -> bool {
    URL_SAFE_NO_PAD.check(text).is_ok()
}

/// Encodes bytes.
#[cfg(any(feature = "api-keys", feature = "dpop", feature = "issue"))]
pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Encodes bytes and appends the text.
#[cfg(feature = "issue")]
pub(crate) fn encode_onto(text: &mut String, bytes: &[u8]) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose;
    use proptest::prelude::*;

    use super::*;

    /// Decodes with the `base64` crate, which is strict about padding and trailing bits.
    fn plain(text: &[u8]) -> Option<Vec<u8>> {
        general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
    }

    #[track_caller]
    fn assert_same(text: &[u8]) {
        let expected = plain(text);
        assert_eq!(Buffer::<64>::new().decode(text).map(<[u8]>::to_vec), expected, "{text:?}");
        assert_eq!(Buffer::<4096>::new().decode(text).map(<[u8]>::to_vec), expected, "{text:?}");
        assert_eq!(is_canonical(text), expected.is_some(), "{text:?}");
    }

    #[test]
    fn decodes_two_bytes_like_the_plain_decoder() {
        for first in 0..=255 {
            for second in 0..=255 {
                assert_same(&[first, second]);
                assert_same(&[b'A', first, second]);
                assert_same(&[b'A', b'A', first, second]);
            }
        }
    }

    proptest! {
        #[test]
        fn decodes_encoded_bytes_like_the_plain_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(plain(text.as_bytes()), Some(bytes));
            assert_same(text.as_bytes());
        }

        #[test]
        fn decodes_one_odd_byte_like_the_plain_decoder(
            len in 0usize..200, place in 0usize..200, odd in any::<u8>(), last in any::<u8>(),
        ) {
            let mut text = vec![b'A'; len];
            if let Some(byte) = text.get_mut(place) {
                *byte = odd;
            }
            if let Some(byte) = text.last_mut() {
                *byte = last;
            }
            assert_same(&text);
        }
    }
}
