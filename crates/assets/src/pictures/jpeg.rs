use image::metadata::Orientation;

use super::{DAMAGED, Kept, NOT_ALONE, Reader, Result};

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const EXIF: u8 = 0xe1;

/// Tables, frames, scans, the colour profile and which way is up.
pub(super) fn keep(content: &[u8]) -> Result<Kept> {
    let mut reader = Reader::new(content);
    let mut kept = vec![0xff, START];
    if reader.take(2)? != kept {
        return Err(DAMAGED);
    }
    loop {
        let marker = marker(&mut reader)?;
        if marker == END {
            break;
        }
        let length = usize::from(u16::from_be_bytes(reader.array()?));
        let body = reader.take(length.checked_sub(2).ok_or(DAMAGED)?)?;
        if marker == EXIF {
            kept.extend(upright(body));
        } else if is_needed(marker, body) {
            kept.extend([0xff, marker]);
            kept.extend(u16::try_from(length).map_err(|_| DAMAGED)?.to_be_bytes());
            kept.extend(body);
        }
        if marker == SCAN {
            let scan = reader.take(scan_length(reader.left)?)?;
            kept.extend(scan);
        }
    }
    kept.extend([0xff, END]);
    // Cameras put more images behind the first, and fill up with zeros.
    let cameras = reader.left.starts_with(&[0xff, START]) || reader.left.iter().all(|it| *it == 0);
    if cameras { Ok(Kept { content: kept, frames: 1 }) } else { Err(NOT_ALONE) }
}

fn marker(reader: &mut Reader<'_>) -> Result<u8> {
    if reader.byte()? != 0xff {
        return Err(DAMAGED);
    }
    loop {
        match reader.byte()? {
            0xff => {}
            0x00..=0xbf | 0xd0..=0xd8 => return Err(DAMAGED),
            marker => return Ok(marker),
        }
    }
}

fn is_needed(marker: u8, body: &[u8]) -> bool {
    match marker {
        // Frames, Huffman and arithmetic tables; quantisation, restarts, number of lines; scans.
        0xc0..=0xcf | 0xda..=0xdd => true,
        0xe0 => body.starts_with(b"JFIF\0"),
        0xe2 => body.starts_with(b"ICC_PROFILE\0"),
        0xee => body.starts_with(b"Adobe"),
        _ => false,
    }
}

/// How long the compressed data is: until a marker that does not belong to it.
fn scan_length(data: &[u8]) -> Result<usize> {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    data.windows(2).position(ends).ok_or(DAMAGED)
}

/// A segment that says which way is up and nothing else, if this one says so.
fn upright(body: &[u8]) -> Vec<u8> {
    let exif = body.strip_prefix(b"Exif\0\0");
    let turned = exif.and_then(Orientation::from_exif_chunk);
    let Some(turned) = turned.filter(|it| *it != Orientation::NoTransforms) else {
        return Vec::new();
    };
    let mut segment = vec![0xff, EXIF, 0, 34];
    segment.extend(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    segment.extend([turned.to_exif(), 0, 0, 0, 0, 0, 0]);
    segment
}
