# Draws a session's Gaussians as they come, from the session's own camera, and saves the picture of
# the signal `last_pts_ns`. FLEXAVATAR_SESSION is a JSON file that says which session.
#
# The head frame, right-handed with y up, is Godot's own; our camera is OpenCV's, Godot's looks
# along -z.
extends Spatial

const Subscriber = preload("res://zmtp_subscriber.gd")
const SplatDecoder = preload("res://splat_decoder.gd")
const CHUNK = 256
const SPLAT_BYTES = 16
const CORNERS = [Vector2(-1, -1), Vector2(1, -1), Vector2(1, 1), Vector2(-1, 1)]

var _session
var _subscriber
var _decoder = SplatDecoder.new()
var _splats = ImageTexture.new()
var _order = ImageTexture.new()
var _drawn = 0


func _ready():
	var file = File.new()
	file.open(OS.get_environment("FLEXAVATAR_SESSION"), File.READ)
	_session = parse_json(file.get_as_text())
	OS.window_size = Vector2(_session.width, _session.height)
	get_viewport().keep_3d_linear = true  # colours of photos are as displayed, and blended so
	_place_camera()
	_make_quads(int(_session.gaussians))
	var topics = []
	for kind in [SplatDecoder.SPLATS_KEY, SplatDecoder.SPLATS_DELTA]:
		topics.append(PoolByteArray(_session.topic) + PoolByteArray([kind, 0]))
	_subscriber = Subscriber.new(_session.frame_address, topics)


func _process(_delta):
	if not _subscriber.is_open():
		printerr("no connection to " + _session.frame_address)
		get_tree().quit(1)
	var changed = false
	for message in _subscriber.receive():
		changed = _decoder.feed(message) or changed
	if not changed:
		return
	_show()
	_drawn += 1
	if _drawn == 1:
		print("drawing")
	if _decoder.pts_ns >= _session.last_pts_ns:
		set_process(false)
		_save()


func _save():
	yield(VisualServer, "frame_post_draw")
	var picture = get_viewport().get_texture().get_data()
	picture.flip_y()
	picture.save_png(_session.picture)
	print(to_json({"drawn": _drawn, "keys": _decoder.keys, "deltas": _decoder.deltas}))
	get_tree().quit()


# Square pixels: one focal length, as all our cameras have.
func _place_camera():
	var m = _session.viewmat
	var rows = [Vector3(m[0], m[1], m[2]), -Vector3(m[4], m[5], m[6]), -Vector3(m[8], m[9], m[10])]
	var rotation = Basis(rows[0], rows[1], rows[2])  # its columns: the inverse of the view's
	$Camera.transform = Transform(rotation, -rotation.xform(Vector3(m[3], -m[7], -m[11])))
	var near = 0.01
	var metres = near / _session.K[4]  # of a pixel, so far away
	var middle = Vector2(_session.width / 2 - _session.K[2], _session.K[5] - _session.height / 2)
	$Camera.set_frustum(_session.height * metres, middle * metres, near, 10)


# What the shader needs of every splat: four corners, and its place in the order.
func _make_quads(count):
	var vertices = PoolVector3Array()
	var indices = PoolIntArray()
	for slot in count:
		for corner in CORNERS:
			vertices.append(Vector3(corner.x, corner.y, slot))
		for corner in [0, 1, 2, 0, 2, 3]:
			indices.append(4 * slot + corner)
	var arrays = []
	arrays.resize(Mesh.ARRAY_MAX)
	arrays[Mesh.ARRAY_VERTEX] = vertices
	arrays[Mesh.ARRAY_INDEX] = indices
	$Head.mesh = ArrayMesh.new()
	$Head.mesh.add_surface_from_arrays(Mesh.PRIMITIVE_TRIANGLES, arrays)
	$Head.mesh.custom_aabb = AABB(Vector3(-5, -5, -5), Vector3(10, 10, 10))


func _show():
	_upload(_splats, _decoder.splats, CHUNK * SPLAT_BYTES / 4)
	_upload(_order, _from_behind(), CHUNK)
	$Head.material_override.set_shader_param("splats", _splats)
	$Head.material_override.set_shader_param("order", _order)
	$Head.material_override.set_shader_param("ln_scales", _decoder.ln_scales)


func _upload(texture, bytes, width):
	var rows = (bytes.size() + 4 * width - 1) / (4 * width)
	bytes.resize(rows * 4 * width)
	var image = Image.new()
	image.create_from_data(width, rows, false, Image.FORMAT_RGBA8, bytes)
	texture.create_from_image(image, 0)


# Numbers of the splats, the farthest first, four bytes each; at one depth the last first, as the
# server has it.
func _from_behind():
	var bytes = StreamPeerBuffer.new()
	bytes.data_array = _decoder.splats
	var towards_viewer = $Camera.transform.basis.z
	var far_first = []
	for splat in _decoder.count:
		bytes.seek(splat * SPLAT_BYTES + 4)
		var mean = Vector3(_half(bytes), _half(bytes), _half(bytes))
		far_first.append(Vector2(mean.dot(towards_viewer), -splat))
	far_first.sort()
	var order = StreamPeerBuffer.new()
	for place in far_first:
		order.put_u32(-int(place.y))
	return order.data_array


func _half(bytes):
	var bits = bytes.get_u16()
	var exponent = (bits >> 10) & 31
	var mantissa = (bits & 1023) / 1024.0
	var size = pow(2, exponent - 15) * (1 + mantissa) if exponent else mantissa * pow(2, -14)
	return -size if bits & 0x8000 else size
