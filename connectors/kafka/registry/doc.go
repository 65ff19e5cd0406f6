// Package registry decodes and encodes records whose schemas are kept by a schema
// registry that speaks Confluent's protocol: Avro, Protobuf and JSON Schema.
//
// A record's value is then a zero byte, the four bytes of its schema's id, and what was
// encoded; with Protobuf the message's place in the schema comes before that. A decoder
// ([Avro], [Protobuf], [JSON]) is one like [kafka.JSONValue], an encoder ([AvroEncoder],
// [ProtobufEncoder], [JSONEncoder]) one like [kafka.JSON].
//
// Schemas are fetched when a record names them first, once per process, and up to 1,000
// are kept. A record whose schema the registry doesn't know is a bad one, as one that its
// schema doesn't fit: what becomes of it is said by [kafka.OnBadRecord]. A registry that
// doesn't answer is asked again until the [Deadline], and the log says so ([Logger]); then the
// task fails, and the record isn't counted as bad.
//
// Values aren't checked against JSON Schemas, and keys are left to programs' own functions.
package registry
