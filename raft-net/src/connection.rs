//! One connection, plain or encrypted: frames in, bytes out.
//!
//! This file does not know what the frames say, nor how long to wait for one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use tokio_util::codec::Decoder;

use crate::frame::{Frame, FrameCodec, FrameError, put_frame};
use crate::wire::{VERSION_FIXED, kind};

/// How much room there is for a read. The buffer is filled up before the next one is made, so that
/// small commands which stay in memory do not each hold a large buffer.
const READ_BYTES: usize = 64 << 10;
const READ_BYTES_MIN: usize = 4 << 10;

/// The bytes of a connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Frames in, bytes out.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    codec: FrameCodec,
    buffer: BytesMut,
}

impl Connection {
    /// A connection that takes frames of up to that length.
    pub(crate) fn new(stream: Stream, frame_bytes_max: usize) -> Self {
        Self {
            stream,
            codec: FrameCodec::new(frame_bytes_max),
            buffer: BytesMut::new(),
        }
    }

    /// From now on takes frames of up to that length.
    pub(crate) fn limit_frames(&mut self, frame_bytes_max: usize) {
        self.codec = FrameCodec::new(frame_bytes_max);
    }

    /// The next frame; `None` at the end of the connection. Nothing is lost when it is dropped
    /// before it is done.
    pub(crate) async fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            if self.buffer.capacity() - self.buffer.len() < READ_BYTES_MIN {
                self.buffer.reserve(READ_BYTES);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Writes all of it, as long as the peer takes some of it every `stall_max`.
    pub(crate) async fn write(&mut self, mut bytes: &[u8], stall_max: Duration) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = timeout(stall_max, self.stream.write(bytes)).await??;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[taken..];
        }
        timeout(stall_max, self.stream.flush()).await?
    }
}

/// Appends a sign of life.
pub(crate) fn put_pulse(out: &mut BytesMut) {
    put_frame(kind::PULSE, VERSION_FIXED, 0, out, |_| {});
}

/// Whether a frame says nothing but that the peer lives.
pub(crate) fn is_pulse(frame: &Frame) -> bool {
    (frame.kind, frame.version, frame.flags) == (kind::PULSE, VERSION_FIXED, 0)
        && frame.body.is_empty()
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
