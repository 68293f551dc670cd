-- Run once, when the database is made: the three roles that deploy/README.md tells of. What they may do, `database roles --execute` grants.
\set owner `cat /run/secrets/owner_password`
\set teller `cat /run/secrets/teller_password`
\set officer `cat /run/secrets/officer_password`
CREATE ROLE owner LOGIN PASSWORD :'owner';
CREATE ROLE teller LOGIN PASSWORD :'teller';
CREATE ROLE officer LOGIN PASSWORD :'officer';
REVOKE ALL ON DATABASE tellergate FROM PUBLIC;
GRANT CONNECT ON DATABASE tellergate TO teller, officer;
ALTER DATABASE tellergate OWNER TO owner;
