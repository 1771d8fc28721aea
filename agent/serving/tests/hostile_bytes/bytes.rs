//! Hostile bytes: random ones, and what is right with changes.

use mindseye_interface::Rng;
use rand::Rng as _;

/// Most bytes of a hostile message.
const MOST: usize = 1 << 16;

/// Bytes that a stranger may send in place of `right`: mostly like them.
pub fn mutated(right: &[u8], rng: &mut Rng) -> Vec<u8> {
    if rng.random_range(0..10) == 0 {
        return noise(rng);
    }
    let mut bytes = right.to_vec();
    for _ in 0..rng.random_range(1..6) {
        change(&mut bytes, rng);
    }
    bytes.truncate(MOST);
    bytes
}

/// Random bytes of a random length, short ones mostly.
pub fn noise(rng: &mut Rng) -> Vec<u8> {
    let most = 1usize << rng.random_range(0..14);
    (0..rng.random_range(0..=most)).map(|_| rng.random()).collect()
}

fn change(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(rng.random());
        return;
    }
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..7) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = [0x00, 0x7f, 0x80, 0xc1, 0xdd, 0xdf, 0xff][rng.random_range(0..7)],
        2 => bytes.truncate(at),
        3 => {
            let until = rng.random_range(at..bytes.len());
            let again = bytes[at..until].to_vec();
            bytes.splice(at..at, again);
        }
        4 => drop(bytes.drain(at..rng.random_range(at..bytes.len()))),
        5 => {
            let more = noise(rng);
            bytes.splice(at..at, more);
        }
        // A length or a number that promises much.
        _ => {
            let end = (at + 4).min(bytes.len());
            bytes[at..end].fill(0xff);
        }
    }
}

/// A websocket frame of a client, with a header that is right, or hardly.
pub fn frame(payload: &[u8], rng: &mut Rng) -> Vec<u8> {
    let is_right = rng.random_range(0..4) != 0;
    let opcode = if is_right { 0x82 } else { rng.random() };
    let length = if is_right { payload.len() as u64 } else { rng.random::<u64>() >> rng.random_range(0..64) };
    let mask: [u8; 4] = rng.random();
    let mut frame = vec![opcode];
    match length {
        0..=125 => frame.push(0x80 | length as u8),
        126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    frame
}

/// A websocket frame of a server, whose payload is short or has a right header.
pub fn server_frame(payload: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut frame = vec![if rng.random_range(0..8) == 0 { rng.random() } else { 0x82 }];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
