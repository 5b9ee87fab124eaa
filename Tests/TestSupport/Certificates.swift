// Owns: the certificates of a test, made by the openssl command in a folder of their own: an
// authority, and what it has signed.

import Foundation

/// An authority's folder; removed with this object.
package final class Certificates: Sendable {
  package let folder: String
  package var authority: String { path("authority.pem") }

  package init() throws {
    folder = NSTemporaryDirectory() + "lk-tls-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try openssl(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
      "2", "-subj", "/CN=test authority", "-keyout", path("authority.key"), "-out", authority,
      "-addext", "keyUsage=critical,keyCertSign")
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  package func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// Makes NAME.pem and NAME.key, for these names (`DNS:…` and `IP:…`), in place of those that are
  /// there.
  package func make(_ name: String, for names: String) throws {
    let (request, extensions) = (path("\(name).csr"), path("\(name).ext"))
    try openssl(
      "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
      "/CN=\(name)", "-keyout", path("\(name).key"), "-out", request)
    try "subjectAltName=\(names)\n".write(
      toFile: extensions, atomically: true, encoding: .utf8)
    try openssl(
      "x509", "-req", "-in", request, "-CA", authority, "-CAkey", path("authority.key"),
      "-set_serial", "\(UInt32.random(in: 1 ... .max))", "-days", "2", "-extfile", extensions,
      "-out", path("\(name).pem"))
  }

  private func openssl(_ words: String...) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["openssl"] + words
    let errors = Pipe()
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw TestFailure("openssl \(words[0]): \(String(decoding: text, as: UTF8.self))")
    }
  }
}
