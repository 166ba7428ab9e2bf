-- Where the server was built with libxml.
create table kinds.markup (id int primary key, x xml, xa xml[]);
insert into kinds.markup values
    (1, '<a b="c">d &amp; e</a>', '{<a/>,NULL}'), (2, 'plain <i/> content', null), (3, '<?xml version="1.0"?><r> <![CDATA[<x>]]> </r>', null), (4, '', '{}');
set xmloption = document;
insert into kinds.markup values (5, '<!DOCTYPE r [<!ELEMENT r ANY>]><r/>', null);
reset xmloption;
