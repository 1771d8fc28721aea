//! A serial line whose answers have a deadline as a whole.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits};

/// A port on which everything that is read until [`Line::answers_by`] is called again must come within its time. The
/// time-out of a port alone is one of every read: a sender of single bytes would hold up its reader for seconds.
pub(crate) struct Line {
    port: Box<dyn SerialPort>,
    until: Instant,
}

impl Line {
    /// Opens the port at `path` for this process alone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(path: &str, baud: u32) -> serialport::Result<Self> {
        let port = serialport::new(path, baud).timeout(Duration::from_millis(1)).open()?;
        Ok(Self { port, until: Instant::now() })
    }

    /// What follows is to be read within `time` from now.
    pub fn answers_by(&mut self, time: Duration) {
        self.until = Instant::now() + time;
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.port.set_timeout(left)?;
        self.port.read(bytes)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.port.set_timeout(left.max(Duration::from_millis(1)))?;
        self.port.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.port.flush()
    }
}

/// All but the time-out is the port's own.
impl SerialPort for Line {
    fn name(&self) -> Option<String> {
        self.port.name()
    }

    fn baud_rate(&self) -> serialport::Result<u32> {
        self.port.baud_rate()
    }

    fn data_bits(&self) -> serialport::Result<DataBits> {
        self.port.data_bits()
    }

    fn flow_control(&self) -> serialport::Result<FlowControl> {
        self.port.flow_control()
    }

    fn parity(&self) -> serialport::Result<Parity> {
        self.port.parity()
    }

    fn stop_bits(&self) -> serialport::Result<StopBits> {
        self.port.stop_bits()
    }

    fn timeout(&self) -> Duration {
        self.port.timeout()
    }

    fn set_baud_rate(&mut self, baud: u32) -> serialport::Result<()> {
        self.port.set_baud_rate(baud)
    }

    fn set_data_bits(&mut self, bits: DataBits) -> serialport::Result<()> {
        self.port.set_data_bits(bits)
    }

    fn set_flow_control(&mut self, control: FlowControl) -> serialport::Result<()> {
        self.port.set_flow_control(control)
    }

    fn set_parity(&mut self, parity: Parity) -> serialport::Result<()> {
        self.port.set_parity(parity)
    }

    fn set_stop_bits(&mut self, bits: StopBits) -> serialport::Result<()> {
        self.port.set_stop_bits(bits)
    }

    fn set_timeout(&mut self, timeout: Duration) -> serialport::Result<()> {
        self.answers_by(timeout);
        Ok(())
    }

    fn write_request_to_send(&mut self, level: bool) -> serialport::Result<()> {
        self.port.write_request_to_send(level)
    }

    fn write_data_terminal_ready(&mut self, level: bool) -> serialport::Result<()> {
        self.port.write_data_terminal_ready(level)
    }

    fn read_clear_to_send(&mut self) -> serialport::Result<bool> {
        self.port.read_clear_to_send()
    }

    fn read_data_set_ready(&mut self) -> serialport::Result<bool> {
        self.port.read_data_set_ready()
    }

    fn read_ring_indicator(&mut self) -> serialport::Result<bool> {
        self.port.read_ring_indicator()
    }

    fn read_carrier_detect(&mut self) -> serialport::Result<bool> {
        self.port.read_carrier_detect()
    }

    fn bytes_to_read(&self) -> serialport::Result<u32> {
        self.port.bytes_to_read()
    }

    fn bytes_to_write(&self) -> serialport::Result<u32> {
        self.port.bytes_to_write()
    }

    fn clear(&self, buffer: ClearBuffer) -> serialport::Result<()> {
        self.port.clear(buffer)
    }

    fn try_clone(&self) -> serialport::Result<Box<dyn SerialPort>> {
        self.port.try_clone()
    }

    fn set_break(&self) -> serialport::Result<()> {
        self.port.set_break()
    }

    fn clear_break(&self) -> serialport::Result<()> {
        self.port.clear_break()
    }
}
