# A ZeroMQ SUB socket of the script's own: ZMTP 3.0 with the NULL mechanism, messages of one part.
# rfc.zeromq.org/spec/23
extends Reference

const GREETING_BYTES = 64
const LONG = 2  # flags of a frame: its size has eight bytes
const COMMAND = 4
const HEAD_BYTES = 9  # of a long frame; any that we wait for is longer

var _tcp = StreamPeerTCP.new()
var _topics
var _received = PoolByteArray()
var _spoken = false
var _greeted = false


# `address` as the session has it, tcp://HOST:PORT; `topics`: an Array of PoolByteArray.
func _init(address, topics):
	_topics = topics
	_tcp.big_endian = true
	var place = address.trim_prefix("tcp://").split(":")
	_tcp.connect_to_host(place[0], int(place[1]))


func is_open():
	return _tcp.get_status() in [_tcp.STATUS_CONNECTING, _tcp.STATUS_CONNECTED]


# The messages that have come since the last call, each a PoolByteArray.
func receive():
	if _tcp.get_status() != _tcp.STATUS_CONNECTED:
		return []
	if not _spoken:
		_tcp.put_data(_greeting())
		_spoken = true
	var waiting = _tcp.get_available_bytes()
	if waiting > 0:
		_received.append_array(_tcp.get_data(waiting)[1])
	if not _greeted:
		_answer_greeting()
	return _messages() if _greeted else []


func _greeting():
	var bytes = PoolByteArray([0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 0])
	bytes.append_array("NULL".to_ascii())
	while bytes.size() < GREETING_BYTES:
		bytes.append(0)
	return bytes


func _answer_greeting():
	if _received.size() < GREETING_BYTES:
		return
	_greeted = true
	_cut(GREETING_BYTES)
	var ready = StreamPeerBuffer.new()
	ready.big_endian = true
	for word in ["READY", "Socket-Type"]:
		ready.put_u8(len(word))
		ready.put_data(word.to_ascii())
	ready.put_32(3)
	ready.put_data("SUB".to_ascii())
	_send(COMMAND, ready.data_array)
	for topic in _topics:
		_send(0, PoolByteArray([1]) + topic)


func _send(flags, body):
	_tcp.put_u8(flags)
	_tcp.put_u8(body.size())
	_tcp.put_data(body)


# Whole frames, cut off the front of what was received; commands have nothing to say to us.
func _messages():
	var messages = []
	var bytes = StreamPeerBuffer.new()
	bytes.big_endian = true
	bytes.data_array = _received
	var start = 0
	while _received.size() - start >= HEAD_BYTES:
		bytes.seek(start)
		var flags = bytes.get_u8()
		var size = bytes.get_u64() if flags & LONG else bytes.get_u8()
		var body = bytes.get_position()
		if body + size > _received.size():
			break
		start = body + size
		if not flags & COMMAND:
			messages.append(_received.subarray(body, start - 1))
	_cut(start)
	return messages


func _cut(count):
	var left = _received.size() - count
	_received = _received.subarray(count, -1) if left > 0 else PoolByteArray()
