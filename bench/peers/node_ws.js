// node_ws.js: the measured services on Node's ws.
//
//   node node_ws.js echo|fanout PORT

'use strict'

const { WebSocketServer } = require('ws')

const [service, port] = process.argv.slice(2)
if (!['echo', 'fanout'].includes(service) || !Number.isInteger(Number(port))) {
  console.error('usage: node node_ws.js echo|fanout PORT')
  process.exit(2)
}

const rooms = new Map() // path -> Set of sockets
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: false, backlog: 4096 })

server.on('connection', (socket, request) => {
  let room = rooms.get(request.url)
  if (!room) rooms.set(request.url, (room = new Set()))
  room.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => {
    room.delete(socket)
    if (room.size === 0) rooms.delete(request.url)
  })
  socket.on('message', (data, binary) => {
    if (service === 'echo') {
      socket.send(data, { binary })
      return
    }
    for (const member of room) {
      if (member !== socket) member.send(data, { binary })
    }
  })
})
