//! The head of an HTTP request, read within bounds: what the web page and the websocket server begin with.

use std::io::Read;

use crate::timed_stream::{TimedStream, is_wait};

/// Why there is no head.
pub(crate) enum NoHead<E> {
    /// Nothing whole came in time: no answer is due.
    Silent(String),
    /// It is longer than allowed.
    TooLong,
    /// It makes no sense.
    Broken(E),
}

/// Reads the head of a request, of at most `most` bytes; with it, what came after it. `parse` says how many bytes of
/// what came so far a head is; nothing where it is not whole yet.
pub(crate) fn read<T, E>(
    stream: &mut TimedStream<'_>,
    most: usize,
    parse: impl Fn(&[u8]) -> Result<Option<(usize, T)>, E>,
) -> Result<(T, Vec<u8>), NoHead<E>> {
    stream.message_begins();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 2048]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(NoHead::Silent("it closed before it asked for anything".into())),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if is_wait(&error) && !stream.is_ending() => continue,
            Err(error) if is_wait(&error) => return Err(NoHead::Silent("the server ends".into())),
            Err(error) => return Err(NoHead::Silent(error.to_string())),
        }
        if let Some((length, head)) = parse(&bytes).map_err(NoHead::Broken)? {
            stream.message_ended();
            let tail = bytes.split_off(length.min(bytes.len()));
            return if length > most { Err(NoHead::TooLong) } else { Ok((head, tail)) };
        }
        if bytes.len() > most {
            return Err(NoHead::TooLong);
        }
    }
}
