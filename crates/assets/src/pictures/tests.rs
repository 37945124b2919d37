use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::{DAMAGED, NOT_ALONE, clean};

const PIXELS: u64 = 40_000_000;
const TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const SECRET: &[u8] = b"GPS 52.5200 N 13.4050 E";

fn picture(content_type: &str) -> Vec<u8> {
    let pixels = RgbImage::from_fn(40, 30, |x, y| {
        image::Rgb([x * 6, y * 8, 90].map(|it| u8::try_from(it).unwrap()))
    });
    let mut content = Cursor::new(Vec::new());
    let format = ImageFormat::from_mime_type(content_type).unwrap();
    DynamicImage::ImageRgb8(pixels).write_to(&mut content, format).unwrap();
    content.into_inner()
}

fn decoded(content: &[u8]) -> DynamicImage {
    image::load_from_memory(content).unwrap()
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|it| it == part)
}

/// `content` with a piece put in at `at`.
fn with(content: &[u8], at: usize, piece: &[u8]) -> Vec<u8> {
    [&content[..at], piece, &content[at..]].concat()
}

fn jpeg_segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

fn png_chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    // Nobody looks at the checksum of what is thrown away.
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &kind, body, &[0; 4]].concat()
}

/// Each kind of picture with a secret wherever programs write such.
fn with_metadata(content_type: &str) -> Vec<u8> {
    let plain = picture(content_type);
    match content_type {
        "image/jpeg" => {
            let exif = [
                b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
                SECRET,
            ];
            let pieces = [
                jpeg_segment(0xe1, &exif.concat()),
                jpeg_segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
                jpeg_segment(0xed, SECRET),
                jpeg_segment(0xfe, SECRET),
                jpeg_segment(0xe2, &[b"MPF\0", SECRET].concat()),
            ];
            with(&plain, 2, &pieces.concat())
        }
        "image/png" => {
            let pieces = [
                png_chunk(*b"tEXt", SECRET),
                png_chunk(*b"eXIf", SECRET),
                png_chunk(*b"zzZz", SECRET),
            ];
            with(&plain, 33, &pieces.concat())
        }
        "image/gif" => {
            let length = u8::try_from(SECRET.len()).unwrap();
            let comment = [&[0x21, 0xfe, length], SECRET, &[0]].concat();
            let application = [b"\x21\xff\x0bXMP DataXMP", &[length][..], SECRET, &[0]].concat();
            with(&plain, plain.len() - 1, &[comment, application].concat())
        }
        _ => {
            let length = u32::try_from(SECRET.len()).unwrap().to_le_bytes();
            let mut content = [&plain[..], b"EXIF", &length, SECRET, &[0]].concat();
            let size = u32::try_from(content.len() - 8).unwrap().to_le_bytes();
            content[4..8].copy_from_slice(&size);
            content
        }
    }
}

#[test]
fn only_the_picture_is_kept_and_it_stays_the_same() {
    for content_type in TYPES {
        let content = with_metadata(content_type);
        assert!(contains(&content, SECRET), "{content_type}");
        let cleaned = clean(content_type, &content, PIXELS).unwrap();
        assert!(!contains(&cleaned.content, SECRET), "{content_type}");
        assert!(cleaned.content.len() <= content.len(), "{content_type}");
        assert_eq!((cleaned.width, cleaned.height), (40, 30), "{content_type}");
        assert_eq!(decoded(&cleaned.content), decoded(&picture(content_type)), "{content_type}");
        let again = clean(content_type, &cleaned.content, PIXELS).unwrap();
        assert_eq!(again.content, cleaned.content, "{content_type}");
    }
}

#[test]
fn a_photo_stays_the_right_way_up() {
    let cleaned = clean("image/jpeg", &with_metadata("image/jpeg"), PIXELS).unwrap();
    let reader = ImageReader::with_format(Cursor::new(&cleaned.content), ImageFormat::Jpeg);
    let orientation = reader.into_decoder().unwrap().orientation().unwrap();
    assert_eq!(orientation, image::metadata::Orientation::Rotate90);
}

#[test]
fn whatever_follows_an_image_is_refused_unless_cameras_write_it() {
    for content_type in TYPES {
        for hidden in
            [&b"<script>alert(1)</script>"[..], b"PK\x03\x04", b"*/=1;alert(1)", b"%PDF-1.7"]
        {
            let content = [&picture(content_type), hidden].concat();
            let refused = clean(content_type, &content, PIXELS).unwrap_err();
            assert_eq!(refused, NOT_ALONE, "{content_type}");
        }
    }
    let plain = picture("image/jpeg");
    let first = clean("image/jpeg", &plain, PIXELS).unwrap().content;
    for behind in [&plain[..], &[0; 9]] {
        let content = [&plain[..], behind].concat();
        assert_eq!(clean("image/jpeg", &content, PIXELS).unwrap().content, first);
    }
}

#[test]
fn a_script_in_a_comment_of_a_gif_is_gone() {
    // Its first bytes would be read as `GIF89a/*…*/=1;alert(1)`.
    let mut content = picture("image/gif");
    content[6..8].copy_from_slice(b"/*");
    assert!(clean("image/gif", &content, 100_000).is_err(), "it is 10,799 pixels wide");
    let comment = b"\x21\xfe\x0d*/=1;alert(1)\0";
    let content = with(&picture("image/gif"), picture("image/gif").len() - 1, comment);
    let cleaned = clean("image/gif", &content, PIXELS).unwrap();
    assert!(!contains(&cleaned.content, b"alert"));
}

/// A PNG that says that it is so large, and is not.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut content = picture("image/png");
    content[16..20].copy_from_slice(&width.to_be_bytes());
    content[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc32(&content[12..29]).to_be_bytes();
    content[29..33].copy_from_slice(&sum);
    content
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[test]
fn an_image_with_too_many_pixels_or_frames_is_refused_before_it_is_decoded() {
    assert!(clean("image/png", &bomb(40, 30), PIXELS).is_ok());
    assert_eq!(
        clean("image/png", &bomb(30_000, 30_000), PIXELS).unwrap_err(),
        "the image has too many pixels"
    );
    let plain = picture("image/gif");
    let frames = plain.len() - 1;
    let at = 13 + 3 * (2 << (plain[10] & 7)) * usize::from(plain[10] >> 7);
    let content = [&plain[..at], &plain[at..frames].repeat(10_000), &[0x3b]].concat();
    assert_eq!(
        clean("image/gif", &content, PIXELS).unwrap_err(),
        "the animation has too many frames"
    );
}

#[test]
fn garbage_is_refused_and_nothing_panics() {
    for content_type in TYPES {
        let plain = picture(content_type);
        for length in 0..plain.len() {
            assert!(
                clean(content_type, &plain[..length], PIXELS).is_err(),
                "{content_type} {length}"
            );
        }
        for at in 0..plain.len().min(400) {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut content = plain.clone();
                content[at] = byte;
                // Whether it is taken does not matter.
                let _ = clean(content_type, &content, PIXELS);
            }
        }
        assert_eq!(clean(content_type, b"", PIXELS).unwrap_err(), DAMAGED);
    }
    assert!(clean("text/html", b"<html>", PIXELS).is_err());
}

#[test]
fn a_frame_outside_of_its_canvas_is_refused() {
    let mut content = picture("image/gif");
    // The first frame's width, behind the header, the table of colours and the control block.
    let frame = content.windows(5).position(|it| it == [0x2c, 0, 0, 0, 0]).unwrap();
    content[frame + 5..frame + 7].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(clean("image/gif", &content, PIXELS).unwrap_err(), DAMAGED);
}

#[test]
fn nothing_is_hidden_in_the_end_of_a_picture() {
    let plain = picture("image/png");
    let content = [&plain[..plain.len() - 12], &png_chunk(*b"IEND", SECRET)].concat();
    assert_eq!(clean("image/png", &content, PIXELS).unwrap_err(), NOT_ALONE);
}
