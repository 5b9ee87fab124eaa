// Owns: libcurl in this process: its loading, when the first webhook needs it. Any thread.
//
// It is not linked: a worker on a machine without it serves all but webhooks.

internal import CCurl
internal import Synchronization

/// Why webhooks cannot work here; a sentence that says what to do.
package struct WebhookError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// The loaded library; it stays until the process ends.
package final class CurlLibrary: Sendable {
  /// Its functions, which are written once, before there is this object.
  nonisolated(unsafe) let functions: UnsafePointer<curl_functions>
  /// Its version, such as `7.88.1`.
  package let version: String

  /// The file that is loaded, by the version of its binary interface: the same since 2006.
  package static let file = "libcurl.so.4"
  /// From 7.87.0 on a transfer that ends while its host is being looked up does not wait for the
  /// look-up.
  private static let versionMin: UInt32 = 0x07_5700

  private static let loaded = Mutex<CurlLibrary?>(nil)

  private init(_ functions: UnsafePointer<curl_functions>, version: String) {
    self.functions = functions
    self.version = version
  }

  /// The library, which is loaded at the first call; after a failure the next call tries again.
  package static func shared() throws(WebhookError) -> CurlLibrary {
    try loaded.withLock { library throws(WebhookError) in
      if let library { return library }
      let made = try load(file)
      library = made
      return made
    }
  }

  /// Loads a file; the table of its functions stays for the time of the process.
  static func load(_ file: String) throws(WebhookError) -> CurlLibrary {
    let table = UnsafeMutablePointer<curl_functions>.allocate(capacity: 1)
    table.initialize(to: curl_functions())
    do throws(WebhookError) {
      if let problem = curl_load(table, file) {
        throw WebhookError(
          "webhooks need libcurl: \(String(cString: problem)); install it (Debian: libcurl4)")
      }
      return CurlLibrary(table, version: try examine(table))
    } catch {
      table.deallocate()
      throw error
    }
  }

  /// Initializes a library that has all that is needed; returns its version.
  private static func examine(_ table: UnsafePointer<curl_functions>) throws(WebhookError) -> String
  {
    guard curl_begin(table) == CURLE_OK, let found = curl_version_of(table)?.pointee else {
      throw WebhookError("libcurl cannot be initialized")
    }
    let version = found.version.map { String(cString: $0) } ?? "?"
    guard found.version_num >= versionMin else {
      throw WebhookError("libcurl \(version) is too old: webhooks need 7.87.0 or newer")
    }
    // Without it a look-up of a host would hold up the loop.
    guard found.features & CURL_VERSION_ASYNCHDNS != 0, found.features & CURL_VERSION_SSL != 0
    else {
      throw WebhookError(
        "libcurl \(version) was built without TLS or asynchronous look-ups of hosts")
    }
    return version
  }
}
