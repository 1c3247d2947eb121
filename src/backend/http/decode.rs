//! Decodes a compressed response body, step by step.
//!
//! No request asks for compression, but a request without `Accept-Encoding` admits any coding (RFC 9110, section
//! 12.5.3), and the SDKs' clients decode what arrives. Output is produced in small parts, so that whoever reads the
//! body applies its own bounds: a few bytes can stand for gigabytes.

use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::Arc;

use brotli_decompressor::Decompressor;
use bytes::{Buf as _, Bytes};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use parking_lot::Mutex;

use super::super::Failure;

/// The size of one decoded part.
const PART_BYTES: usize = 16 * 1024;
/// Codings that may be applied one after the other; more have no use but to cost time.
const MAX_CODINGS: usize = 3;

/// The decoder of one response body.
pub(super) struct Decoder {
    feed: Feed,
    /// Never locked: only whoever has the decoder to itself reads.
    stages: Mutex<Box<dyn Read + Send>>,
    codings: Vec<Coding>,
    is_finished: bool,
}

impl Decoder {
    /// The decoder that `headers` call for; `None` for a body that is not compressed. A coding that is not known is
    /// left alone, as the SDKs' clients do: the name may mean nothing.
    ///
    /// # Errors
    /// More codings than a server has reason to apply.
    pub(super) fn for_response(headers: &HeaderMap) -> Result<Option<Box<Self>>, Failure> {
        if !headers.contains_key(CONTENT_ENCODING) {
            return Ok(None);
        }
        let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let codings: Vec<_> = values.flat_map(|value| value.split(',')).filter_map(Coding::parse).collect();
        if codings.len() > MAX_CODINGS {
            return Err(Failure::malformed("the backend's answer is compressed too many times over"));
        }
        if codings.is_empty() {
            return Ok(None);
        }
        let feed = Feed::default();
        // The last coding was applied last.
        let stages = codings
            .iter()
            .rev()
            .fold(Box::new(feed.clone()) as Box<dyn Read + Send>, |source, coding| coding.decode(source));
        Ok(Some(Box::new(Self { feed, stages: Mutex::new(stages), codings, is_finished: false })))
    }

    /// Adds what arrived. The part before must have been decoded to its end.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.feed.0.lock().chunk = chunk;
    }

    fn failure(&self) -> Failure {
        let names: Vec<_> = self.codings.iter().map(|coding| coding.name()).collect();
        let reason = "the backend's answer cannot be decompressed";
        Failure::malformed(format!("{reason} (`Content-Encoding: {}`)", names.join(", ")))
    }

    /// Says that nothing more arrives; `true` if that was known.
    pub(super) fn end(&mut self) -> bool {
        std::mem::replace(&mut self.feed.0.lock().has_ended, true)
    }

    /// The next decoded part; `None` if more input is needed, or nothing follows.
    ///
    /// # Errors
    /// The body is not what its header says.
    pub(super) fn pull(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.is_finished {
            return Ok(None);
        }
        let mut part = vec![0; PART_BYTES];
        loop {
            match self.stages.get_mut().read(&mut part) {
                Ok(0) => self.is_finished = true,
                Ok(length) => {
                    part.truncate(length);
                    return Ok(Some(part.into()));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A body that is cut off is judged by what it holds, as the SDKs' clients judge it.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.is_finished = true,
                Err(_) => return Err(self.failure()),
            }
            return Ok(None);
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    /// Known, so that its name can be told, but not decoded.
    Zstd,
}

impl Coding {
    fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" | "x-deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn decode(self, source: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(source)),
            Self::Deflate => Box::new(Inflate::Unknown(Some(source))),
            Self::Brotli => Box::new(Decompressor::new(source, PART_BYTES)),
            Self::Zstd => Box::new(Undecodable),
        }
    }
}

/// What is compressed in a way that is not understood here.
struct Undecodable;

impl Read for Undecodable {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }
}

/// The input of the first stage.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<Input>>);

#[derive(Default)]
struct Input {
    chunk: Bytes,
    has_ended: bool,
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut input = self.0.lock();
        if input.chunk.is_empty() && !input.has_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = buffer.len().min(input.chunk.len());
        input.chunk.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// `deflate` means the zlib format, but many servers send the raw one. The first byte tells them apart.
enum Inflate {
    Unknown(Option<Box<dyn Read + Send>>),
    Known(Box<dyn Read + Send>),
}

impl Read for Inflate {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let source = match self {
                Self::Known(decoder) => return decoder.read(buffer),
                Self::Unknown(source) => source,
            };
            let mut first = [0];
            let length = source.as_mut().map_or(Ok(0), |source| source.read(&mut first))?;
            let Some(source) = source.take().filter(|_| length > 0) else { return Ok(0) };
            let whole = Read::chain(Cursor::new(first), source);
            let is_zlib = first[0] & 0x0f == 8 && first[0] >> 4 <= 7;
            *self = Self::Known(match is_zlib {
                true => Box::new(ZlibDecoder::new(whole)),
                false => Box::new(DeflateDecoder::new(whole)),
            });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn decoder(coding: &'static str) -> Option<Box<Decoder>> {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(coding))]);
        Decoder::for_response(&headers).unwrap()
    }

    fn pushed(decoder: &mut Decoder, chunk: &[u8]) -> Vec<u8> {
        decoder.push(Bytes::copy_from_slice(chunk));
        std::iter::from_fn(|| decoder.pull().unwrap()).flatten().collect()
    }

    fn decoded(coding: &'static str, body: &[u8], size: usize) -> Vec<u8> {
        let mut decoder = decoder(coding).unwrap();
        let mut text: Vec<u8> = body.chunks(size).flat_map(|chunk| pushed(&mut decoder, chunk)).collect();
        decoder.end();
        text.extend(std::iter::from_fn(|| decoder.pull().unwrap()).flatten());
        text
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// One block that is stored as it is.
    fn brotli(text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len() - 1).unwrap();
        // Window of 16 bits, then a meta-block of MLEN bytes that is not the last and not compressed.
        let bits = (length << 4) | (1 << 20);
        let mut stored = bits.to_le_bytes()[..3].to_vec();
        stored.extend_from_slice(text);
        stored.push(3);
        stored
    }

    #[test]
    fn each_coding_is_decoded_however_it_is_cut() {
        let text: Vec<u8> = (0..20_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let twice = gzip(&zlib(&text));
        let members = [gzip(&text[..5000]), gzip(&text[5000..])].concat();
        for (coding, body) in [
            ("gzip", gzip(&text)),
            ("X-GZIP", members),
            ("deflate", zlib(&text)),
            ("deflate", raw(&text)),
            ("deflate, gzip", twice),
        ] {
            for size in [1, 7, 4096, body.len()] {
                assert!(decoded(coding, &body, size) == text, "{coding} in pieces of {size}");
            }
        }
        let short = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        for size in [1, 100] {
            assert_eq!(decoded("br", &brotli(short), size), short, "in pieces of {size}");
        }
    }

    #[test]
    fn what_was_flushed_is_there_before_the_end() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut decoder = decoder("gzip").unwrap();
        for event in [&b"data: 1\n\n"[..], b"data: 2\n\n"] {
            encoder.write_all(event).unwrap();
            encoder.flush().unwrap();
            assert_eq!(pushed(&mut decoder, &std::mem::take(encoder.get_mut())), event);
        }
    }

    #[test]
    fn a_few_bytes_never_become_more_than_a_part_at_a_time() {
        let bomb = gzip(&vec![0; 8 << 20]);
        let mut decoder = decoder("gzip").unwrap();
        decoder.push(bomb.into());
        let (mut parts, mut bytes) = (0, 0);
        while let Some(part) = decoder.pull().unwrap() {
            assert!(part.len() <= PART_BYTES);
            (parts, bytes) = (parts + 1, bytes + part.len());
        }
        assert!(bytes == 8 << 20 && parts >= 512, "{parts} parts of {bytes} bytes");
    }

    #[test]
    fn only_what_is_compressed_has_a_decoder_and_a_lie_is_found_out() {
        assert!(decoder("identity").is_none() && decoder("utf-8").is_none());
        assert!(Decoder::for_response(&HeaderMap::new()).unwrap().is_none());
        let headers =
            HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip,gzip,br,gzip"))]);
        assert!(Decoder::for_response(&headers).is_err());
        for coding in ["gzip", "br", "zstd"] {
            let mut decoder = decoder(coding).unwrap();
            decoder.push(Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"));
            let failure = decoder.pull().unwrap_err();
            assert!(failure.message.contains(&format!("`Content-Encoding: {coding}`")), "{failure}");
        }
        assert!(decoded("gzip", &gzip(&[b'a'; 100])[..20], 20).len() <= 100, "cut off");
        assert!(decoded("gzip", b"", 1).is_empty());
    }
}
