// Owns: the tests of reading files that an operator names: whatever stands there, nothing waits.

import Foundation
import Glibc
import Testing

@testable import Loop

struct RegularFileTests {
  private let folder: String

  init() throws {
    var template = Array("/tmp/lk-file-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func error(_ path: String, bytesMax: Int = 100) -> String {
    do throws(FileError) {
      return "\(try RegularFile.read(path, bytesMax: bytesMax).count) bytes"
    } catch {
      return error.description
    }
  }

  @Test(arguments: [0, 1, 100, 65_536, 200_000])
  func `a file is read whole, up to its limit`(size: Int) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = "\(folder)/file"
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
    #expect(FileManager.default.createFile(atPath: path, contents: Data(bytes)))
    #expect(try RegularFile.read(path, bytesMax: size) == bytes)
    #expect(try RegularFile.read(path, bytesMax: size + 1) == bytes)
    guard size > 0 else { return }
    #expect(error(path, bytesMax: size - 1) == "\(path) has more than \(size - 1) bytes")
  }

  @Test func `a file whose size the kernel does not say is read up to the limit too`() {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(error("/proc/self/status", bytesMax: 10) == "/proc/self/status has more than 10 bytes")
    #expect(error("/proc/self/status", bytesMax: 100_000).hasSuffix(" bytes"))
  }

  @Test func `what is no regular file is an error at once`() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (pipe, socket) = ("\(folder)/pipe", "\(folder)/socket")
    #expect(mkfifo(pipe, 0o600) == 0)
    let listener = try SocketAddress.resolve(.unix(path: socket)).bind(sharingPort: false)
    defer { listener.close() }
    #expect(error(pipe) == "\(pipe) is a pipe: a regular file is needed")
    #expect(error(folder) == "\(folder) is a folder: a regular file is needed")
    #expect(error("/dev/zero") == "/dev/zero is a device: a regular file is needed")
    #expect(error(socket).contains("open"), "a socket cannot even be opened")
    #expect(error("\(folder)/none").contains("No such file"))
  }
}
