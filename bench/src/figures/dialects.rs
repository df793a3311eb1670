//! The same upload in every dialect of this server: who may do it, and the line of curl that does it once.
//!
//! What a dialect demands is in its figure: MD5 and CRC-64 of every object, MD5 and SHA-256 of every stream, the sum of every
//! chunk of a device. Keys and signatures are of this file alone, and good until the year 2100.

use crate::peer::Peer;

/// One of them. The lines see `$i`, the number of the upload, and `up`, curl that fails when it is refused; `source` is what
/// to upload, `$SIZE` bytes.
pub struct Dialect {
    pub name: &'static str,
    /// Before the clock runs.
    pub prepare: &'static str,
    pub upload: &'static str,
    /// Its contract asks for MD5 of every byte.
    pub digests: bool,
}

pub const TUS: &str = "TUS PATCH";

pub const ALL: [Dialect; 6] = [
    Dialect {
        name: TUS,
        prepare: "",
        upload: "at=$(up -D - -X POST -H 'Tus-Resumable: 1.0.0' -H \"Upload-Length: $SIZE\" \"$URL/tus\" \
            | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p'); \
            up -X PATCH -T source -H 'Tus-Resumable: 1.0.0' -H 'Upload-Offset: 0' \
            -H 'Content-Type: application/offset+octet-stream' \"$URL/tus/${at##*/}\"",
        digests: false,
    },
    Dialect {
        name: "chunk of a stream",
        prepare: "",
        upload: "up -X POST -T source -H 'Authorization: token-of-the-bench' -H 'X-Filename: source' \
            -H \"X-Filesize: $SIZE\" -H 'X-Chunk-Index: 0' -H 'X-Total-Chunks: 1' -H \"X-Upload-Id: $i\" \
            \"$URL/api/scratch/stream-upload\"",
        digests: true,
    },
    Dialect {
        name: "chunk of a device",
        // 256 times the same bytes: their sum modulo 256 is 0.
        prepare: "curl -sSf -d 'username=bench&password=bench' \"$URL/sft/auth/token\" \
            | sed -n 's/.*\"access_token\": *\"\\([^\"]*\\)\".*/Authorization: Bearer \\1/p' > token; \
            printf \"$HEADER\" | cat - source > chunk",
        upload: "up -X POST -T chunk -H @token \"$URL/sft/api/files/upload?filename=$i\"",
        digests: false,
    },
    Dialect {
        name: "form of a blob",
        prepare: "curl -sSf \"$URL/blob/user/bench\" \
            | sed -n 's/.*\"token\": *\"\\([^\"]*\\)\".*/Authorization: Bearer \\1/p' > token",
        upload: "up -F file=@source -H @token \"$URL/blob/upload\"",
        digests: false,
    },
    Dialect {
        name: "PostObject",
        prepare: "",
        upload: "up -F key=bench/$i -F OSSAccessKeyId=bench -F signature=xl0/tjej6bRn74t11u+qrXXp1b8= \
            -F policy=eyJleHBpcmF0aW9uIjoiMjEwMC0wMS0wMVQwMDowMDowMC4wMDBaIiwiY29uZGl0aW9ucyI6W3siYnVja2V0IjoiY2xvdWQifSxbInN0YXJ0cy13aXRoIiwiJGtleSIsImJlbmNoLyJdXX0= \
            -F file=@source \"$URL/cloud\"",
        digests: true,
    },
    Dialect {
        name: "PutObject",
        prepare: "",
        upload: "up -T source \
            \"$URL/cloud/bench/file?OSSAccessKeyId=bench&Expires=4102444800&Signature=bQx8LxsnAcy%2BafCuIoN1ztpgNhQ%3D\"",
        digests: true,
    },
];

/// The server with a user in each dialect, and without limits.
pub fn with_everybody(et: &Peer) -> Peer {
    const SETTINGS: [(&str, &str); 9] = [
        ("ETRANSFER_SURFACES__STREAM_UPLOAD__TOKENS", r#"[{"token": "token-of-the-bench", "user": "bench"}]"#),
        ("ETRANSFER_SURFACES__STREAM_UPLOAD__MAX_FILE_BYTES", "1TiB"),
        ("ETRANSFER_SURFACES__SECURE_FILE_TRANSFER__DEVICES", r#"[{"device_id": "bench", "secret": "bench"}]"#),
        ("ETRANSFER_SURFACES__PYBLOBSERVER__ALLOWED_USERS", "bench"),
        ("ETRANSFER_SURFACES__PYBLOBSERVER__TOKEN_BOOTSTRAP", "open"),
        ("ETRANSFER_SURFACES__PYBLOBSERVER__FILE_SIZE_LIMIT_MB", "1000000"),
        ("ETRANSFER_SURFACES__PYBLOBSERVER__TOTAL_SIZE_LIMIT_MB", "1000000"),
        ("ETRANSFER_SURFACES__CLOUDBACKEND__ACCESS_KEY_ID", "bench"),
        ("ETRANSFER_SURFACES__CLOUDBACKEND__ACCESS_KEY_SECRET", "secret-of-the-bench"),
    ];
    SETTINGS.iter().fold(et.clone(), |peer, (name, value)| peer.with(name, value))
}

/// The header of a chunk that is a whole file of `size` bytes whose sum is 0, as `printf` reads it.
pub fn chunk_header(size: u64) -> String {
    let bytes = [[0; 8], (size - 1).to_be_bytes()].concat();
    bytes.iter().chain([&0]).map(|byte| format!("\\{byte:03o}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_header_of_a_chunk() {
        let end = "\\000\\000\\000\\000\\000\\003\\377\\377";
        assert_eq!(super::chunk_header(256 << 10), format!("{}{end}\\000", "\\000".repeat(8)));
    }
}
