// Owns: how a measurement says that it could not be made. A value; any thread.

import Loop

/// Why a load could not be run to its end; the figures would be worth nothing.
struct LoadFailure: Error {
  let text: String

  init(_ text: String) { self.text = text }

  init(_ error: SystemError) { text = error.description }
}
