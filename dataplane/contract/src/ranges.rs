//! The `Range` header of a download (RFC 9110 §14, contract easytransfer §2.8).
