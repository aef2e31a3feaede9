// Calls one method of the client "syno", as it is told on its input, and prints
// what it calls back with.
const Syno = require('syno');

const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const syno = new Syno({
  protocol: input.protocol, host: input.host, port: input.port, account: input.account, passwd: input.password,
  apiVersion: '6.2.2', ignoreCertificateErrors: true,
});

function done(error, data) {
  console.log(JSON.stringify({ code: error ? error.code || -1 : 0, message: error ? error.message : '', data: data || null }));
}

if (input.method === 'login') {
  const params = { account: input.account, passwd: input.password, session: 'DiskStationManager', format: 'sid', ...input.params };
  syno.auth.request({ api: 'SYNO.API.Auth', version: 3, path: 'auth.cgi', method: 'login', params }, done);
} else if (input.method === 'info') {
  syno.auth.request({ api: 'SYNO.API.Info', version: 1, path: 'query.cgi', method: 'query', params: { query: 'all' } }, done);
} else {
  syno.dsm[input.method](input.params || {}, done);
}
