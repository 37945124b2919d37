use super::{HEADER, OpenStream, SEALED_SEGMENT, SEGMENT, StreamError};
use crate::Sealer;

fn sealer(secrets: &[&str]) -> Sealer {
    let secrets: Vec<_> = secrets.iter().map(|it| (*it).into()).collect();
    Sealer::new(&secrets, "tests").unwrap()
}

/// So that no two segments are alike.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at / SEGMENT % 251 + at % 5).unwrap()).collect()
}

fn sealed(text: &[u8]) -> Vec<u8> {
    let mut stream = sealer(&["one"]).seal_stream(b"file").unwrap();
    let mut sealed = Vec::new();
    for piece in text.chunks(100_000) {
        sealed.extend(stream.push(piece));
    }
    sealed.extend(stream.finish());
    sealed
}

fn opened(mut stream: OpenStream, sealed: &[u8], piece: usize) -> Result<Vec<u8>, StreamError> {
    let mut opened = Vec::new();
    for piece in sealed.chunks(piece) {
        opened.extend(stream.push(piece)?);
    }
    opened.extend(stream.finish()?);
    Ok(opened)
}

fn open(sealed: &[u8]) -> Result<Vec<u8>, StreamError> {
    opened(sealer(&["one"]).open_stream(b"file"), sealed, 70_001)
}

#[test]
fn a_stream_of_any_length_opens_whatever_the_pieces_are() {
    for length in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 17] {
        let (text, stream) = (text(length), || sealer(&["one"]).open_stream(b"file"));
        let sealed = sealed(&text);
        for piece in [HEADER, 1000, SEALED_SEGMENT, 10 << 20] {
            assert_eq!(opened(stream(), &sealed, piece).unwrap(), text, "{length} by {piece}");
        }
    }
}

#[test]
fn another_key_or_context_does_not_open_it_and_an_earlier_key_does() {
    let sealed = sealed(b"secret");
    assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
    let with = |keys: &[&str], context: &[u8]| {
        opened(sealer(keys).open_stream(context), &sealed, sealed.len())
    };
    assert_eq!(with(&["two", "one"], b"file").unwrap(), b"secret");
    assert_eq!(with(&["two"], b"file").unwrap_err(), StreamError::OtherKey);
    assert_eq!(with(&["one"], b"other").unwrap_err(), StreamError::Damaged(0));
    assert_eq!(
        open(b"PGDMP and so on, which is longer than a header would be").unwrap_err(),
        StreamError::Unknown
    );
    assert_eq!(open(&sealed[..20]).unwrap_err(), StreamError::Unknown);
}

#[test]
fn a_stream_that_is_cut_off_anywhere_does_not_open_to_its_end() {
    let sealed = sealed(&text(3 * SEGMENT));
    let borders = (0..3).map(|segment| HEADER + segment * SEALED_SEGMENT);
    for border in borders {
        for length in [border, border + 1, border + 15, border + 16, border + 1000] {
            assert!(open(&sealed[..length]).is_err(), "cut at {length}");
        }
    }
    assert!(open(&sealed[..sealed.len() - 1]).is_err());
    assert!(open(&[sealed.as_slice(), b"x"].concat()).is_err(), "something follows");
    assert!(open(&[&sealed, &sealed[HEADER..]].concat()).is_err(), "it is there twice");
}

#[test]
fn a_stream_in_which_one_bit_is_flipped_does_not_open() {
    let sealed = sealed(&text(SEGMENT + 40));
    let end = sealed.len();
    for at in [0, 9, 20, HEADER, HEADER + SEGMENT, HEADER + SEALED_SEGMENT, end - 1] {
        let mut flipped = sealed.clone();
        flipped[at] ^= 4;
        assert!(open(&flipped).is_err(), "at {at}");
    }
}

#[test]
fn segments_that_change_places_or_streams_do_not_open() {
    let (text, segment) = (text(4 * SEGMENT), |n: usize| HEADER + n * SEALED_SEGMENT);
    let (first, second) = (sealed(&text), sealed(&text));
    let mut swapped = first.clone();
    swapped[segment(1)..segment(2)].copy_from_slice(&first[segment(2)..segment(3)]);
    swapped[segment(2)..segment(3)].copy_from_slice(&first[segment(1)..segment(2)]);
    assert_eq!(open(&swapped).unwrap_err(), StreamError::Damaged(1));
    let left_out = [&first[..segment(1)], &first[segment(2)..]].concat();
    assert_eq!(open(&left_out).unwrap_err(), StreamError::Damaged(1));
    let mut mixed = first.clone();
    mixed[segment(2)..segment(3)].copy_from_slice(&second[segment(2)..segment(3)]);
    assert_eq!(open(&mixed).unwrap_err(), StreamError::Damaged(2));
}
